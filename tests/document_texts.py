"""Texts of documents and how they are read and attached: shared by the tests of the room `documents`."""

import base64
import io
from typing import Any

from langchain_core.messages import HumanMessage

from seal_agent.documents import files as documents
from seal_agent.documents.passages import divide
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.language.sentences import split_sentences
from seal_agent.learning.learner import Learner

TOWER = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."
FERRY = "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep."


def sections(*texts: str) -> str:
    return "\n\n".join(f"Section {text.split()[1]}\n\n{text}" for text in texts)


def pdf(text: str) -> bytes:
    """A PDF of one page that shows `text`, a line for each."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    name = NameObject
    font = DictionaryObject(
        {name("/Type"): name("/Font"), name("/Subtype"): name("/Type1"), name("/BaseFont"): name("/Helvetica")}
    )
    page[name("/Resources")] = DictionaryObject({name("/Font"): DictionaryObject({name("/F1"): font})})
    shown = " ".join(f"({line}) Tj 0 -14 Td" for line in text.split("\n"))
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 10 280 Td {shown} ET".encode())
    page[name("/Contents")] = writer._add_object(stream)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def ingest(learner: Learner, text: str = "", source: str = "tower.txt", **given: Any) -> list[str]:
    state = create_ingest_graph(learner).compile().invoke({"document": text, "source": source, **given})
    return [report["outcome"] for report in state["outcomes"]]


def texts(learner: Learner) -> list[str]:
    """What is learned and served, oldest first."""
    return [e.text for e in learner.state.accepted(learner.stack.ids)]


def say(learner: Learner, content: list[Any]) -> dict[str, Any]:
    return create_chat_graph(learner).compile().invoke({"messages": [HumanMessage(content)]})


def attached(text: str, title: str = "", mime_type: str = "text/plain") -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {"type": "file", "base64": data, "mime_type": mime_type} | ({"title": title} if title else {})


def outcomes(state: dict[str, Any]) -> list[str]:
    return [report["outcome"] for report in state["outcomes"]]


def told(page: str, kind: str = documents.MARKDOWN) -> tuple[list[str], dict[str, str]]:
    """The sentences that are learned of a page, and the reasons for what is left out."""
    reading = documents.read(page, kind, "it")
    found = divide(reading.text)
    left_out = {left.sentence: left.reason for left in (*reading.left_out, *found.left_out)}
    return [sentence for passage in found.passages for sentence in split_sentences(passage.text)], left_out


HALL = sections(TOWER, BRIDGE)
