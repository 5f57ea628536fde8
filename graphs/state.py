"""The state of the graphs: JSON-like data only, so that any checkpointer can keep it.

Episodes and passages travel as dictionaries made by `seal_agent.core.codec.to_json`; models, tensors and
adapters never do.
"""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.documents import Document
from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12, and a server makes schemas


class LearnState(TypedDict, total=False):
    """What the learning loop reads and writes.

    `pending`: passages (topic, text) still to be looked at; `num_passages`: how many there were;
    `episode`: the one in hand; `outcomes`: one short report per passage that is done. `speaker`: the namespace they are
    learned in; `replaced`: documents that were read before, with the digests of the passages they hold now;
    `num_begun`: how often the first passage was begun and left unfinished. `held`: the job of the queue that holds the
    text in hand while a person is asked; 0 for none. `refused`: the kind and the text of the error of a run whose input
    was taken out.
    """

    pending: list[dict[str, Any]]
    num_passages: int
    episode: dict[str, Any]
    outcomes: list[dict[str, Any]]
    speaker: str
    replaced: dict[str, list[str]]
    num_begun: int
    held: int
    refused: list[str]


class ChatState(LearnState, total=False):
    """A conversation, and what was learned of what the user said last. `authors`: who wrote it (`speakers.Authors`).

    Of attached documents, `left_out` says what is not learned and why. `notes`: what is to be known of their names, and
    of turns that the reply was written without. `brought`: the ids of the messages that came with the run.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    authors: dict[str, list[str]]
    brought: list[str]
    left_out: list[dict[str, Any]]
    notes: list[str]


class IngestState(LearnState, total=False):
    """What is to be read: a text, or documents of LangChain's loaders.

    `title` overrides the topic found in it. `source` says where the text comes from: read again under the same name,
    it replaces what was learned from its last version. `content_type`: how it is written (`documents.files.text_of`).
    All of it leaves the state when it is read, or refused. `giver`: the namespace it is read for, and its digest.
    `left_out`: what stands in the documents and is not learned, and why; `notes`: what is to be known of their names.
    """

    document: str
    documents: list[Document]
    title: str
    source: str
    content_type: str
    giver: list[str]
    left_out: list[dict[str, Any]]
    notes: list[str]
