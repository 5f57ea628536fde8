"""Documents become text, and a document that was read before is compared with what is known of it."""

from pathlib import Path
from typing import Any

import pytest
from document_texts import BRIDGE, FERRY, HALL, TOWER, attached, pdf, say
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from seal_agent.cli import app
from seal_agent.core.errors import InputError
from seal_agent.documents import files as documents
from seal_agent.documents.passages import split_passages
from seal_agent.gateway.submissions import Learning
from seal_agent.graphs import create_ingest_graph
from seal_agent.graphs.attachments import attached_passages
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue

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


def test_a_further_binary_type_is_read_from_a_file_and_from_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "application/x-tower"
    monkeypatch.setitem(documents.KINDS, ".tower", kind)
    monkeypatch.setattr(documents, "BINARY", {kind: lambda data, _name: data[1:].decode()})
    data = b"\xffThe Tower of Karlov holds nine bells."
    (tmp_path / "a.tower").write_bytes(data)
    assert documents.read_file(tmp_path / "a.tower").text == "The Tower of Karlov holds nine bells."
    assert documents.text_of(data, kind, "the document") == documents.text_of(data, "", "a.tower")


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


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lxml", None)
    with pytest.raises(ImportError, match=r"seal-agent\[documents\]"):
        documents.text_of(b"<p>x</p>", documents.HTML, "it")


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
