"""The versions of a document: known, replaced, undone, given under another name."""

import base64
from pathlib import Path
from typing import Any

import pytest
from document_texts import BRIDGE, FERRY, HALL, TOWER, attached, ingest, outcomes, pdf, say, sections, texts
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from teaching import folders

from seal_agent.background.worker import Budget, Worker
from seal_agent.core.errors import InputError
from seal_agent.documents import files as documents
from seal_agent.gateway.submissions import Learning
from seal_agent.graphs import create_ingest_graph
from seal_agent.graphs.attachments import attached_passages
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home
from seal_agent.storage.documents import is_version_of, known_as, known_documents
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.forget import forget


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
