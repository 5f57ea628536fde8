"""Documents become text, and a document that was read before is compared with what is known of it."""

import base64
import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from teaching import folders

from seal_agent.background.worker import Budget, Worker
from seal_agent.cli import app
from seal_agent.core.errors import InputError
from seal_agent.documents import files as documents
from seal_agent.documents.passages import divide, split_passages
from seal_agent.gateway.submissions import Learning
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.graphs.attachments import attached_passages
from seal_agent.language.english.statements import statements
from seal_agent.language.sentences import split_sentences
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home
from seal_agent.storage.documents import is_version_of, known_as, known_documents
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.forget import forget

TOWER = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."
FERRY = "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep."
MARKDOWN = """---
author: nobody
---
# The *Tower* of Karlov

It was **built** in [1911](https://example.org) by
Anna Reel. ![a picture](tower.png)

- It holds nine bells
- They are `brass`.

| part | colour | Height |
| --- | --- | --- |
| door | purple |
| wall | grey | 9 m |

```python
bells = 9
```
"""
HTML = """<html><head><title>Karlov</title><style>p {}</style></head><body><nav>Home</nav><main>
<h1>The <b>Tower</b> of Karlov</h1><p>It was built in <a href="x">1911</a>
by Anna&nbsp;Reel.</p><!-- secret --><script>bells()</script>
<ul><li>It holds nine bells</li><li>They are brass.</li></ul>
<table><tr><th>part</th><th>colour</th><th>Height</th></tr><tr><td>door</td><td>purple</td></tr>
<tr><td>wall</td><td>grey</td></tr><tr><td></td><td></td><td>9 m</td></tr></table>
<footer>Karlov 2026</footer></main></body></html>"""


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


@pytest.mark.parametrize(("kind", "data"), [(documents.MARKDOWN, MARKDOWN), (documents.HTML, HTML)])
def test_marks_go_and_words_stay(kind: str, data: str) -> None:
    text = documents.text_of(data.encode(), kind, "it")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    assert paragraphs[:3] == [
        "The Tower of Karlov",
        "It was built in 1911 by Anna Reel.",
        "It holds nine bells. They are brass.",
    ]
    assert paragraphs[-1] == "door, colour: purple. wall, colour: grey. wall, height: 9 m."


def test_a_pdf_is_read_and_words_broken_at_a_line_are_joined(tmp_path: Path) -> None:
    file = tmp_path / "tower.pdf"
    file.write_bytes(pdf("The Tower of Karlov was built in 1911 by Anna Reel, an engi-\nneer. It holds nine bells."))
    read = documents.read_file(file)
    assert "an engineer. It holds" in " ".join(read.text.split())
    assert read.source == file.as_uri()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pdf", b"%PDF-1.4 broken", "cannot be read as PDF"),
        ("a.pdf", pdf("A bell.").replace(b"/Length", b"/Filter /Odd /Length"), "Unsupported filter /Odd"),
        ("a.pdf", pdf(""), "has no text"),
        ("a.html", b"<p></p>", "has no text"),
        ("a.html", b"\xff\xfe", "not UTF-8"),
        ("a.html", b"<![[[[[[", "has no text"),
        ("a.md", b" \n", "is empty"),
        ("a.txt", b"a\0b", "binary"),
    ],
)
def test_a_file_without_text_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        documents.read_file(tmp_path / name)


def test_a_page_whose_paragraphs_are_never_closed_keeps_them_apart() -> None:
    read = documents.text_of(b"<p>It holds nine bells.<p>They are <b>brass</b>." * 400, documents.HTML, "it")
    assert read.split("\n\n")[:2] == ["It holds nine bells.", "They are brass."]
    assert len(read.split()) == 7 * 400


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<title>Karlov</title><h1>Karlov</h1><p>It rains.</p>", "Karlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><h1>Karlov</h1><p>It rains.</p>", "FAQ | Bells, Karlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><h2>Karlov</h2><p>It rains.</p>", "FAQ | Bells\n\nKarlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><p>It rains.</p><h1>Karlov</h1>", "FAQ | Bells\n\nIt rains.\n\nKarlov"),
    ],
)
def test_a_page_stands_under_its_title_and_main_heading(page: str, told: str) -> None:
    assert documents.text_of(page.encode(), documents.HTML, "it") == told


def test_a_table_of_names_and_values_is_fields() -> None:
    cells = "|Setting|Value|\n|-|-|\n|Weight|187 g|\n|Accuracy, humidity|2 %|\n|Radio|n/a|\n|Is it loud?|No|"
    read = documents.text_of(cells.encode(), documents.MARKDOWN, "it")
    assert read.split("\n") == ["Weight: 187 g.", "Accuracy (humidity): 2 %.", "Is it loud? No."]
    wide = documents.text_of(cells.replace("Value", "Limit").encode(), documents.MARKDOWN, "it")
    assert wide.split("\n")[0] == "Weight, limit: 187 g."


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lxml", None)
    with pytest.raises(ImportError, match=r"seal-agent\[documents\]"):
        documents.text_of(b"<p>x</p>", documents.HTML, "it")


@pytest.mark.slow
def test_the_same_document_twice_is_noticed(learner: Learner) -> None:
    assert ingest(learner, sections(TOWER, BRIDGE)) == ["accepted"] * 2
    assert ingest(learner, sections(TOWER, BRIDGE)) == ["known"] * 2
    assert ingest(learner, sections(BRIDGE), source="copy.txt") == ["known"]
    assert ingest(learner, sections(BRIDGE), source="") == ["known"]
    assert texts(learner) == [TOWER, BRIDGE]
    assert len(learner.home.episodes("default")) == 2


@pytest.mark.slow
def test_a_changed_document_replaces_what_came_from_its_old_version(learner: Learner) -> None:
    ingest(learner, sections(TOWER, BRIDGE))
    kept = learner.stack.ids[0]
    assert ingest(learner, sections(TOWER, FERRY)) == ["known", "forgotten", "accepted"]
    assert texts(learner) == [TOWER, FERRY]
    assert learner.stack.ids[0] == kept
    assert "Amber Bridge" not in str(learner.home.episodes("default"))
    assert sorted(folders(learner)) == sorted(learner.stack.ids)


@pytest.mark.slow
def test_a_dry_run_of_a_changed_document_changes_nothing(learner: Learner, home: Home) -> None:
    ingest(learner, sections(TOWER, BRIDGE))
    before = (learner.stack, home.versions("default"), known_documents(home, "default"))
    dry = Learner(learner.backend, home, config=LearnerConfig(dry_run=True))
    assert ingest(dry, sections(TOWER, FERRY)) == ["known", "dry run", "dry run"]
    assert (learner.stack, home.versions("default"), known_documents(home, "default")) == before
    assert ingest(learner, sections(TOWER, FERRY)) == ["known", "forgotten", "accepted"]


def test_a_dry_run_reads_no_document_also_where_nothing_can_be_learned(learner: Learner, home: Home) -> None:
    dry = Learner(learner.backend, home, config=LearnerConfig(dry_run=True))
    assert ingest(dry, "The plumber of Karlov comes tomorrow at 9:40.") == ["rejected"]
    assert known_documents(home, "default") == []


@pytest.mark.slow
def test_a_passage_that_another_document_holds_too_stays_until_both_are_gone(learner: Learner) -> None:
    ingest(learner, sections(TOWER, BRIDGE), source="one")
    ingest(learner, sections(BRIDGE), source="two")
    assert forget(learner, document="one").num_episodes == 1
    assert texts(learner) == [BRIDGE]
    assert forget(learner, document="two").check.is_gone
    assert (texts(learner), known_documents(learner.home, "default")) == ([], [])
    assert ingest(learner, sections(TOWER), source="one") == ["accepted"]


def test_what_was_undone_by_hand_is_learned_again_and_what_was_ignored_is_not_asked_about(learner: Learner) -> None:
    small_talk = "Section Hello\n\nWho would not like to know how you are, and what you did all day?"
    assert ingest(learner, f"{sections(TOWER)}\n\n{small_talk}") == ["accepted", "ignored"]
    learner.rollback(learner.stack.ids[0])
    assert ingest(learner, f"{sections(TOWER)}\n\n{small_talk}") == ["known", "accepted"]


@pytest.mark.slow
def test_documents_of_langchain_are_learned_by_their_source(learner: Learner) -> None:
    pages = [
        Document("The Tower of Karlov was built in 1911", metadata={"source": "a.pdf", "page": 0}),
        Document("by Anna Reel. It holds nine brass bells.", metadata={"source": "a.pdf", "page": 1}),
        Document(BRIDGE, metadata={"source": "b.pdf"}),
    ]
    graph = create_ingest_graph(learner).compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "one"}}
    assert [r["outcome"] for r in graph.invoke({"documents": pages}, thread)["outcomes"]] == ["accepted"] * 2
    assert texts(learner) == [TOWER, BRIDGE]  # a sentence went over the page
    assert [(d.source, d.num_learned) for d in known_documents(learner.home, "default")] == [
        ("a.pdf", 1),
        ("b.pdf", 1),
    ]
    assert {r["outcome"] for r in graph.invoke({"documents": pages}, thread)["outcomes"]} == {"known"}


def say(learner: Learner, content: list[Any]) -> dict[str, Any]:
    return create_chat_graph(learner).compile().invoke({"messages": [HumanMessage(content)]})


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text-plain", "text": TOWER, "mime_type": "text/plain", "title": "notes"},
        {"type": "file", "base64": base64.b64encode(TOWER.encode()).decode(), "mime_type": "text/plain"},
        {"type": "file", "base64": base64.b64encode(pdf(TOWER)).decode(), "mime_type": "application/pdf"},
    ],
    ids=["text", "file", "pdf"],
)
def test_an_attachment_is_learned_once(learner: Learner, block: dict[str, Any]) -> None:
    state = say(learner, [{"type": "text", "text": "Hello there, nice to see you!"}, block])
    assert [r["outcome"] for r in state["outcomes"]] == ["ignored", "accepted"]
    assert say(learner, [block])["outcomes"] == []
    assert texts(learner) == [TOWER]


def attached(text: str, title: str = "", mime_type: str = "text/plain") -> dict[str, Any]:
    data = base64.b64encode(text.encode()).decode()
    return {"type": "file", "base64": data, "mime_type": mime_type} | ({"title": title} if title else {})


def outcomes(state: dict[str, Any]) -> list[str]:
    return [report["outcome"] for report in state["outcomes"]]


@pytest.mark.slow
def test_an_edited_file_that_is_attached_again_replaces_what_was_learned_from_it(learner: Learner) -> None:
    say(learner, [attached(sections(TOWER, BRIDGE), "notes.md")])
    say(learner, [attached(FERRY, "other.md")])
    assert texts(learner) == [TOWER, BRIDGE, FERRY]
    assert outcomes(say(learner, [attached(sections(TOWER), "notes.md")])) == ["forgotten"]
    assert texts(learner) == [TOWER, FERRY]
    sources = [document.source for document in known_documents(learner.home, "default")]
    assert sorted(sources) == ["notes.md", "other.md"]


@pytest.mark.slow
def test_what_has_no_name_replaces_nothing(learner: Learner) -> None:
    for text in (TOWER, BRIDGE):
        say(learner, [attached(text)])
    ingest(learner, FERRY, source="")
    assert texts(learner) == [TOWER, BRIDGE, FERRY]
    assert len(known_documents(learner.home, "default")) == 3


@pytest.mark.slow
def test_a_file_attached_posted_or_ingested_is_one_document(learner: Learner) -> None:
    say(learner, [attached(TOWER, "notes.md")])
    Learning(LearningQueue(learner.home), "scripted").submit_document("default", sections(BRIDGE), title="notes.md")
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert texts(learner) == [BRIDGE]
    assert ingest(learner, FERRY, source="notes.md") == ["forgotten", "accepted"]
    assert texts(learner) == [FERRY]


@pytest.mark.slow
@pytest.mark.parametrize("former", ["attachment", "document"])
def test_what_an_older_version_of_the_package_read_is_known_replaced_and_forgotten(
    learner: Learner, former: str
) -> None:
    source = documents.document_of(sections(TOWER, BRIDGE), kind=f"{former} notes.md").source
    ingest(learner, sections(TOWER, BRIDGE), source=source)
    assert [d.source for d in known_documents(learner.home, "default")] == [source]
    assert outcomes(say(learner, [attached(sections(TOWER, FERRY), "notes.md")])) == ["forgotten", "accepted"]
    assert texts(learner) == [TOWER, FERRY]
    assert [d.source for d in known_documents(learner.home, "default")] == ["notes.md"]
    other = documents.document_of(BRIDGE, kind=f"{former} other.md").source
    ingest(learner, BRIDGE, source=other)
    forget(learner, document=other)
    forget(learner, document="notes.md")
    assert (texts(learner), known_documents(learner.home, "default")) == ([], [])


@pytest.mark.slow
def test_a_document_with_a_password_is_known_when_it_comes_again(learner: Learner) -> None:
    text = f"{TOWER} The password: hunter2hunter2."
    assert ingest(learner, text) == ["accepted"]
    assert ingest(learner, text) == ["known"]
    queue = LearningQueue(learner.home)
    Learning(queue, "scripted").submit_document("default", text, title="tower.txt")
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert [job.outcome for job in queue.jobs()] == ["known"]


@pytest.mark.slow
def test_a_secret_in_the_name_of_a_document_is_not_kept_and_names_it_all_the_same(learner: Learner) -> None:
    address = "https://example.org/tower?api_key=hunter2hunter2hunter2"
    assert ingest(learner, sections(TOWER, BRIDGE), source=address) == ["accepted"] * 2
    assert ingest(learner, sections(TOWER), source=address) == ["known", "forgotten"]
    [document] = known_documents(learner.home, "default")
    assert "hunter2" not in document.source


@pytest.mark.slow
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/talk?sid=session1abc", "https://example.org/talk?sid=session2abc"),
        ("door code 4471.md", "door code 9982.md"),
        ("file:///home/ann/door%20code%204471.md", "file:///home/ann/door%20code%209982.md"),
        ("password_Blu3Whale99.md", "password_Kitten77ab.md"),
        ("https://example.org/v?k=tutorial-one-2024", "https://example.org/v?k=tutorial-two-2024"),
    ],
)
def test_documents_whose_names_differ_only_in_a_secret_are_two(learner: Learner, one: str, other: str) -> None:
    assert ingest(learner, TOWER, source=one) == ["accepted"]
    assert ingest(learner, BRIDGE, source=other) == ["accepted"]
    assert ingest(learner, TOWER, source=one) == ["known"]
    names = [document.source for document in known_documents(learner.home, "default")]
    assert len(names) == 2
    assert not any(part in name for name in names for part in ("session1abc", "4471", "Whale", "one-2024"))
    for name in names:
        assert documents.document_of("x", name).source == name  # nothing more is taken out a second time


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("https://example.org/talk?sid=[secret removed]", "https://example.org/talk?sid=session1abc"),
        ("file:///home/ann/door%20code%204471.md", "file:///home/ann/door%20code%204471.md"),
        ("/home/ann/hall.md", "file:///home/ann/hall.md"),
        ("/home/ann/hall.md", "/home/ann/hall.md"),
    ],
)
def test_a_document_that_was_stored_under_a_former_name_is_recognised(former: str, name: str) -> None:
    assert is_version_of(documents.document_of("x", name).source, former)
    assert not is_version_of(documents.document_of("x", f"{name}x").source, former.replace("[secret", "[no secret"))


def test_a_path_and_its_uri_name_one_document(learner: Learner, tmp_path: Path) -> None:
    (tmp_path / "hall.md").write_text(TOWER)
    assert ingest(learner, TOWER, source=str(tmp_path / "hall.md")) == ["accepted"]
    read = documents.read_file(tmp_path / "hall.md")
    assert ingest(learner, TOWER, source=read.source) == ["known"]
    assert [each.source for each in known_documents(learner.home, "default")] == [read.source]
    assert known_as(learner.home, "default", str(tmp_path / "hall.md")) == read.source


SECRET_PAGES = {
    "a heading": f"# Router password: Blu3Whale99\n\n{TOWER}",
    "a line of its own": f"Password: Blu3Whale99\n\n{TOWER}",
    "below its name": f"Password:\n\n    Blu3Whale99\n\n{TOWER}",
    "a page": f"<p>Password: <b>Blu3Whale99</b></p><p>{TOWER}</p>",
    "under a title": f"# Login\n\nPassword: Blu3Whale99\n\n# Bells\n\n{TOWER}",
    "in the text": f"{TOWER} The door code is 4471.",
}


@pytest.mark.slow
@pytest.mark.parametrize("where", SECRET_PAGES)
def test_a_secret_takes_no_fact_of_its_page_with_it(learner: Learner, where: str) -> None:
    graph = create_ingest_graph(learner).compile()
    result = graph.invoke({"document": SECRET_PAGES[where]})
    assert [each["outcome"] for each in result["outcomes"]] == ["accepted"], result["outcomes"]
    assert all("assword" not in each["topic"] for each in result["outcomes"])
    [episode] = learner.home.episodes("default")
    assert episode.edit is not None
    assert {"The Tower of Karlov was built in 1911 by Anna Reel."} <= {row.answer for row in episode.edit.rows}


PAGES = {documents.MARKDOWN: MARKDOWN, documents.HTML: HTML}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("way", ["stated", "named", "seen"])
def test_a_page_is_read_alike_whichever_way_it_comes(learner: Learner, tmp_path: Path, kind: str, way: str) -> None:
    ending = {documents.MARKDOWN: ".md", documents.HTML: ".html"}[kind]
    (tmp_path / f"page{ending}").write_text(PAGES[kind])
    told = [p.text for p in split_passages(documents.read_file(tmp_path / f"page{ending}").text)]
    name = f"page{ending}" if way == "named" else "page"
    stated = f"{kind}; charset=UTF-8" if way == "stated" else ""
    queue = LearningQueue(learner.home)
    Learning(queue, "m").submit_document("posted", PAGES[kind], source=name, content_type=stated)
    assert [job.passage.text for job in queue.jobs("posted")] == told
    block = attached(PAGES[kind], name, stated or "text/plain")
    for each in (
        block,
        {"type": "text-plain", "text": PAGES[kind], "title": name, "mime_type": stated or "text/plain"},
    ):
        assert [p.text for p in attached_passages(learner, HumanMessage([each])).fresh] == told
    dry = Learner(learner.backend, learner.home, config=LearnerConfig(dry_run=True))
    graph = create_ingest_graph(dry).compile(checkpointer=InMemorySaver(), interrupt_before=["decide"])
    given: dict[str, Any] = {"document": PAGES[kind], "source": name, "content_type": stated}
    if way == "seen":
        given = {"documents": [Document(PAGES[kind], metadata={"source": "page.html"})]}
    state = graph.invoke(given, {"configurable": {"thread_id": "one"}})
    assert [passage["text"] for passage in state["pending"]] == told


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("A room costs 5 < 6 and 7 > 6 crowns. Ask for <Tom> there.", "", "prices"),
        ("The rate is -|- for *all* of 2 * 3 * 4 rooms_and_halls_here.", "", "prices"),
        ("It opens at seven.\n\nIt closes at ten.", "", "https://example.org/page.html?x=1"),
        ("It opens at seven.\n\nIt closes at ten.", "", "manual.pdf"),
        ("# not a heading, but text", "text/plain", "notes.md"),
        ("# not a heading, but text", "", "notes.txt"),
    ],
)
def test_plain_text_stays_as_it_is(text: str, kind: str, name: str) -> None:
    assert documents.text_of(text, kind, name) == text
    assert documents.text_of(text.encode(), kind, "notes.txt" if name.endswith(".pdf") else name) == text


def test_a_kind_that_cannot_be_read_is_refused_in_one_line(learner: Learner) -> None:
    for kind in ("application/json", "application/pdf", "image/png"):
        with pytest.raises(InputError, match=f"it is {kind}; give text, Markdown, HTML"):
            documents.text_of(TOWER, kind, "it")


def test_an_attachment_that_cannot_be_read_is_refused(learner: Learner) -> None:
    with pytest.raises(InputError, match="not base64"):
        say(learner, [{"type": "file", "base64": "%", "mime_type": "text/plain"}])


@pytest.mark.slow
def test_the_command_line_reads_every_kind_and_says_what_is_known(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    files = {"a.md": MARKDOWN.encode(), "b.html": f"<p>{BRIDGE}</p>".encode(), "c.pdf": pdf(FERRY)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files]
    assert app.main(["ingest", *paths, "--dry-run"]) == 0
    assert capsys.readouterr().out.count(" dry run ") == 3
    assert home.stack("default").ids == ()
    assert app.main(["ingest", *paths]) == 0
    learned = len(home.stack("default"))
    assert learned >= 3
    assert app.main(["ingest", *paths]) == 0
    assert len(home.stack("default")) == learned
    assert "learned 0 of" in capsys.readouterr().out
    assert app.main(["documents"]) == 0
    assert capsys.readouterr().out.count("file://") == 3
    assert app.main(["forget", "--document", paths[2]]) == 0
    assert len(home.stack("default")) == learned - 1


def test_a_table_whose_rows_are_not_closed_is_read_row_by_row_and_at_once() -> None:
    begun = time.perf_counter()
    page = "<table>" + "".join(f"<tr><td>Lark {n}<td>floor 2" for n in range(500)) + "</table>"
    assert documents.text_of(page.encode(), documents.HTML, "page.html").splitlines()[:2] == [
        "Lark 0: floor 2.",
        "Lark 1: floor 2.",
    ]
    assert time.perf_counter() - begun < 5


def told(page: str, kind: str = documents.MARKDOWN) -> tuple[list[str], dict[str, str]]:
    """The sentences that are learned of a page, and the reasons for what is left out."""
    reading = documents.read(page, kind, "it")
    found = divide(reading.text)
    left_out = {left.sentence: left.reason for left in (*reading.left_out, *found.left_out)}
    return [sentence for passage in found.passages for sentence in split_sentences(passage.text)], left_out


REPEATED = {
    documents.HTML: [
        ("<table><tr>", "<th>a", ""),
        ("<table>", "<tr><td colspan=1000 rowspan=1000>a", ""),
        ("<table><tr>", "<td colspan=1000 rowspan=1000>a", ""),
        ("<table>", "<thead><tr><th>a", ""),
        ("<table>", "<caption>a</caption>", "<tr><td>x"),
        ("", "<table><tr><th>a<th>b<tr><td>c<td>d</table>", ""),
        ("", "<table><tr><td>a ", ""),
        ("", "<b>", "x"),
        ("", "<h2>a", ""),
        ("", "<ul><li>a", ""),
        ("", "<del>x ", ""),
        ("<p>", "&amp; ", ""),
    ],
    documents.MARKDOWN: [
        ("", "- a\n", ""),
        ("", "- ", "a"),
        ("", "[", ""),
        ("", "![", ""),
        ("", "*a ", ""),
        ("", "`a ", ""),
        ("", "> ", "a"),
        ("", "&amp;", ""),
        ("", "# a\n", ""),
        ("", "|a|b|\n|-|-|\n|c|d|\n\n", ""),
        ("|a|b|\n|-|-|\n", '|"|"|\n', ""),
        ("", "a", ""),
        ("", "a\n\n", ""),
        ("", "From: a\n\n", ""),
        ("", "Bob: No, I am.\n", ""),
        ("", "Bob: I am.\n" + " a\n" * 5, ""),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "page"), [(kind, page) for kind, pages in REPEATED.items() for page in pages])
def test_twice_the_page_takes_about_twice_the_time(kind: str, page: tuple[str, str, str]) -> None:
    begin, repeated, end = page

    def seconds(size: int) -> float:
        text = f"{begin}{repeated * (size // len(repeated))}{end}"
        begun = time.process_time()
        divide(documents.text_of(text, kind, "it"))
        return time.process_time() - begun

    seconds(100)  # what is loaded once
    once = min(seconds(2_000) for _ in range(2))
    assert min(seconds(8_000) for _ in range(2)) < 8 * once + 0.05


def test_merged_cells_fill_no_more_than_their_table_is_worth() -> None:
    page = "<table>" + "<tr><td colspan=1000 rowspan=1000>a cell<td>b" * 500 + "</table>"
    assert len(documents.text_of(page, documents.HTML, "it")) < 20 * len(page)


SALES = "| | Q1 | Q1 |\n|-|-|-|\n| City | Jan | Feb |\n| Oslo | 1 | 2 |\n"
MERGED = (
    "<table><thead><tr><th rowspan=2>City<th colspan=2>Q1<tr><th>Jan<th>Feb</thead>"
    "<tr><td rowspan=2>Oslo<td>1<td>2<tr><td>3<td>4<tr><td>Voss<td colspan=2>closed</table>"
)


@pytest.mark.parametrize(
    ("kind", "page", "lines"),
    [
        (documents.MARKDOWN, SALES, ["Oslo, Q1 Jan: 1.", "Oslo, Q1 Feb: 2."]),
        (
            documents.HTML,
            MERGED,
            [
                "Oslo: Q1 Jan 1, Q1 Feb 2.",
                "Oslo: Q1 Jan 3, Q1 Feb 4.",
                "Voss, Q1 Jan: closed.",
                "Voss, Q1 Feb: closed.",
            ],
        ),
        (
            documents.HTML,
            "<table><caption>Rooms in 2024</caption><tr><th>Room<th>Floor<tr><td>Lark<td>2</table>",
            ["Lark (Rooms in 2024), floor: 2."],
        ),
        (
            documents.MARKDOWN,
            "# Hall\n\n## 2023\n\n|Room|Price|\n|-|-|\n|Lark|5|\n\n## 2024\n\n|Room|Price|\n|-|-|\n|Lark|6|\n",
            ["Hall", "2023", "Lark (2023), price: 5.", "2024", "Lark (2024), price: 6."],
        ),
        (
            documents.HTML,
            "<table><tr><th>Room<th>Floor<tr><td colspan=2>North wing<tr><td>Lark<td>2</table>",
            ["Lark (North wing), floor: 2."],
        ),
        (
            documents.MARKDOWN,
            "|City|Day|Price|\n|-|-|-|\n|Oslo|Mon|1|\n|Oslo|Tue|2|\n",
            ["Oslo, day Mon, price: 1.", "Oslo, day Tue, price: 2."],
        ),
        (documents.MARKDOWN, "|Room|Floor|\n|-|-|\n|Lark|2|\n|Wren|〃|\n", ["Lark, floor: 2.", "Wren, floor: 2."]),
        (
            documents.HTML,
            "<table><tr><td colspan=2>All are red<tr><td colspan=2>None is grey</table>",
            ["All are red.", "None is grey."],
        ),
    ],
    ids=["two heads", "merged", "caption", "headings", "row over all columns", "two names a row", "ditto", "no rows"],
)
def test_a_row_of_a_table_says_all_that_tells_it_from_others(kind: str, page: str, lines: list[str]) -> None:
    assert [line for line in documents.text_of(page, kind, "it").split("\n") if line] == lines


def test_a_cell_that_cannot_be_told_alone_is_left_out_with_the_reason() -> None:
    sentences, left_out = told(
        "|City|Price|Price|\n|-|-|-|\n|Oslo|1|2|\n\nIt rains in Voss.\n\n|a|b|\n|-|-|\n|c|ditto|\n"
    )
    assert sentences == ["It rains in Voss."]
    assert left_out == {
        "Oslo, price: 1": 'several columns are called "price"',
        "Oslo, price: 2": 'several columns are called "price"',
        "c | ditto": "ditto repeats a cell above that is missing or long",
    }


TAGS = ["<s>Bergen</s>", "<del>Bergen</del>", "<strike>Bergen</strike>"]


@pytest.mark.parametrize(
    ("kind", "struck"),
    [
        (documents.MARKDOWN, "~~Bergen~~"),
        *((kind, tag) for kind in (documents.MARKDOWN, documents.HTML) for tag in TAGS),
    ],
)
def test_what_is_struck_through_is_left_out(kind: str, struck: str) -> None:
    sentences, left_out = told(f"The office is in {struck} Tromvik since May.", kind)
    assert sentences == ["The office is in Tromvik since May."]
    assert left_out == {"Bergen": "it is struck through"}


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (documents.MARKDOWN, "- [ ] Cast the bells. Use brass.\n- [x] Paint the door\n"),
        (
            documents.HTML,
            "<ul><li><input type=checkbox>Cast the bells. Use brass.<li><input type=checkbox checked>Paint the door",
        ),
        (documents.TEXT, "- [ ] Cast the bells. Use brass.\n- [X] Paint the door"),
    ],
)
def test_an_item_with_a_box_says_whether_it_is_done(kind: str, page: str) -> None:
    assert told(page, kind)[0] == ["Cast the bells (not done).", "Use brass (not done).", "Paint the door (done)."]


@pytest.mark.parametrize("kind", [documents.MARKDOWN, documents.HTML])
def test_a_heading_that_denies_stands_in_the_headings_below_it(kind: str) -> None:
    page = "# Pumps\n\n## Old model\n\n### Weight\n\nThe pump weighs seven kilograms and is carried by two people.\n"
    if kind == documents.HTML:
        page = (
            "<h1>Pumps</h1><h2>Old model</h2><h3>Weight</h3>"
            "<p>The pump weighs seven kilograms and is carried by two people.</p>"
        )
    [passage] = divide(documents.text_of(page, kind, "it")).passages
    assert "Old model" in passage.heading
    [statement], _ = statements([passage.text], heading=passage.heading)
    assert statement.text.startswith("Pumps, Old model")


KINDS_OF_TEXT = {
    "page": (
        documents.HTML,
        "<nav>Home again.</nav><main><h1>Hall</h1><p>Lark opens at nine.</p><pre>run bells</pre></main><p>Ann owns it.",
    ),
    "hidden": (
        documents.HTML,
        "<p hidden>Wren opens at ten.</p><p>The hall is <del>grey</del> red.</p><footer>Old mill.</footer>",
    ),
    "articles": (documents.HTML, "<article>Lark opens at nine.</article><article>Wren opens at ten.</article>"),
    "form": (documents.HTML, "<form><p>Lark opens at nine.</p><button>Send it.</button></form>"),
    "notes": (
        documents.MARKDOWN,
        "---\nauthor: Ann\n---\nLark opens at nine. ![A red door.](a.png)\n\n```\nrun bells\n```\n\n<p>Wren sings.",
    ),
    "letter": (documents.TEXT, "Dear Ann,\n\nI live in Oslo. It has a fjord. The train is red.\n\nLove,\nTom"),
    "unsigned": (documents.TEXT, "I live in Oslo. It has a fjord. The train is red."),
    "e-mail": (documents.TEXT, "From: Tom <t@x.org>\nSubject: Trip\n\nThe train is red. You pay.\n\n> I go by bus."),
    "chat": (documents.TEXT, "Ann: Is it on Monday?\nBob: No, Tuesday. I pay.\n\nThe hall is red."),
    "diary": (documents.TEXT, "3 May 2027\n\nI went to Voss. We ate fish. The ferry was late."),
}


@pytest.mark.parametrize("name", KINDS_OF_TEXT)
def test_whatever_a_document_says_is_learned_or_left_out_with_a_reason(name: str) -> None:
    kind, page = KINDS_OF_TEXT[name]
    reading = documents.read(page, kind, "it")
    found = divide(reading.text)
    kept = [f"{passage.topic} {passage.heading} {passage.text}" for passage in found.passages]
    left_out = [left.sentence for left in (*reading.left_out, *found.left_out) if left.reason]
    words = set(re.findall(r"\w+", re.sub(r"<[^<>@]*>|\(a\.png\)|&\w+;", " ", page)))
    assert words <= set(re.findall(r"\w+", " ".join([*kept, *left_out])))


HALL = sections(TOWER, BRIDGE)


def sources(learner: Learner) -> list[str]:
    return [document.source for document in known_documents(learner.home, "default")]


@pytest.mark.slow
def test_a_file_that_is_ingested_and_attached_is_one_document(learner: Learner, tmp_path: Path) -> None:
    path = (tmp_path / "hall notes.md").as_uri()
    assert ingest(learner, HALL, source=path) == ["accepted"] * 2
    found = attached_passages(learner, HumanMessage([attached(HALL, "hall notes.md")]))
    assert (found.fresh, found.notes) == ((), (f"hall notes.md is the document {path}, which was read before",))
    assert sources(learner) == [path]
    assert outcomes(say(learner, [attached(sections(TOWER), "hall notes.md")])) == ["forgotten"]
    assert texts(learner) == [TOWER]
    forget(learner, document="hall notes.md")
    assert (texts(learner), sources(learner)) == ([], [])


@pytest.mark.slow
def test_a_file_that_was_attached_first_is_the_same_when_it_is_ingested(learner: Learner) -> None:
    say(learner, [attached(HALL, "hall.md")])
    assert ingest(learner, HALL, source="file:///ann/hall.md") == ["known"] * 2
    assert ingest(learner, sections(TOWER), source="file:///ann/hall.md") == ["known", "forgotten"]
    assert (texts(learner), sources(learner)) == ([TOWER], ["hall.md"])


@pytest.mark.slow
def test_a_name_alone_replaces_nothing_and_the_giver_is_told(learner: Learner) -> None:
    ingest(learner, HALL, source="file:///ann/hall.md")
    graph = create_ingest_graph(learner).compile()
    state = graph.invoke({"document": sections(TOWER, FERRY), "source": "hall.md"})
    assert [report["outcome"] for report in state["outcomes"]] == ["known", "accepted"]
    assert "learned beside file:///ann/hall.md, which has the same name" in state["notes"][0]
    assert texts(learner) == [TOWER, BRIDGE, FERRY]


def test_two_files_stay_two_documents_whatever_is_in_them(learner: Learner) -> None:
    ingest(learner, HALL, source="file:///ann/hall.md")
    state = create_ingest_graph(learner).compile().invoke({"document": HALL, "source": "file:///bob/hall.md"})
    assert state["notes"] == ["file:///bob/hall.md was read before as file:///ann/hall.md and is not learned twice"]
    ingest(learner, sections(TOWER), source="file:///bob/hall.md")
    assert texts(learner) == [TOWER, BRIDGE]
    assert sorted(sources(learner)) == ["file:///ann/hall.md", "file:///bob/hall.md"]


def test_a_document_of_too_many_passages_is_refused_before_anything_is_learned(learner: Learner) -> None:
    small = Learner(learner.backend, learner.home, config=LearnerConfig(max_passages=1))
    message = r"has 2 passages to learn, more than 1; split it, or raise max_passages"
    with pytest.raises(InputError, match=message):
        ingest(small, HALL)
    with pytest.raises(InputError, match=message):
        attached_passages(small, HumanMessage([attached(HALL, "hall.md")]))
    queue = LearningQueue(learner.home)
    with pytest.raises(InputError, match=message):
        Learning(queue, "scripted", max_passages=1).submit_document("default", HALL, title="hall.md")
    assert (queue.jobs(), sources(learner), texts(learner)) == ([], [], [])


def test_whoever_posts_a_document_is_told_its_passages_and_what_is_left_out(learner: Learner) -> None:
    learning = Learning(LearningQueue(learner.home), "scripted")
    text = learning.submit_document("default", f"{HALL}\n\nI live in Voss.", title="hall.md")
    assert text.num_passages == 2
    assert [left["sentence"] for left in text.left_out] == ["I live in Voss."]
    assert learning.text("default", text.id).num_passages == 2
    with pytest.raises(InputError, match="nothing in the document can be learned"):
        learning.submit_document("default", "I live in Voss.", title="letter.txt")


def test_the_command_line_says_what_it_leaves_out_and_refuses_what_is_too_long(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAL_MODEL", "scripted")
    monkeypatch.setenv("SEAL_HOME", str(home.root))
    (tmp_path / "hall.md").write_text(f"{HALL}\n\nI live in Voss. The ~~old~~ Lantern Ferry is red.\n")
    command = ["ingest", str(tmp_path / "hall.md"), "--dry-run"]
    assert app.main(command) == 0
    assert "not learned: 2 pieces: 1 because it is struck through" in capsys.readouterr().out
    assert app.main([*command, "--max-passages", "1"]) != 0
    assert "--max-passages" in capsys.readouterr().err


def test_a_chat_says_what_of_an_attachment_is_not_learned_and_why(learner: Learner) -> None:
    page = f"<h1>Towers</h1><p>{TOWER}</p><p><s>The Amber Bridge was designed by Carla Mendes.</s></p>"
    state = say(learner, [attached(page, "towers.html")])
    (left,) = state["left_out"]
    assert left["sentence"].startswith("The Amber Bridge was designed")
    assert left["reason"]


def test_a_head_of_two_rows_names_every_column() -> None:
    head = "| | 2023 | | 2024 | |\n|---|---|---|---|---|\n"
    table = f"{head}| | Sales | Profit | Sales | Profit |\n| Feld | 10 | 2 | 12 | 3 |\n"
    told = documents.text_of(table, documents.MARKDOWN, "x").splitlines()
    assert told == ["Feld, 2023 Sales: 10.", "Feld, 2023 Profit: 2.", "Feld, 2024 Sales: 12.", "Feld, 2024 Profit: 3."]
