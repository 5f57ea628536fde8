"""What one user said in a thread is never learned for another, whichever way their runs end."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agents import BRIDGE, Literal, agent
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from threads import GREETING, TOWER

from seal_agent import SelfAdaptation
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.graphs import create_chat_graph, create_ingest_graph, speakers
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue

WALL = "The Copper Wall was raised by Otto Bern in 1702. It has eleven gates."
REFUSED = "the text of another user"


@pytest.fixture
def asking(backend: ScriptedBackend, home: Home) -> Learners:
    """Learners that ask a person, so that what a user said waits in the thread."""
    return Learners(backend, home, LearnerConfig(approval=True))


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield InMemorySaver()
        return
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as opened:
        yield opened


def as_user(user: str) -> Any:
    return {"configurable": {"thread_id": "one", "user": user}}


def told(text: str) -> dict[str, Any]:
    return {"messages": [("user", text)]}


def waiting(state: Any) -> list[str]:
    return [interrupt.value["text"] for interrupt in state["__interrupt__"]]


def streamed(graph: Any, given: Any, config: Any) -> dict[str, Any]:
    return dict(list(graph.stream(given, config, stream_mode="values"))[-1])


@pytest.mark.parametrize("run", [lambda graph, *given: graph.invoke(*given), streamed], ids=["invoke", "stream"])
def test_a_refused_message_does_not_stay_in_the_thread(
    asking: Learners, saver: Any, run: Callable[..., dict[str, Any]]
) -> None:
    graph = create_chat_graph(asking).compile(checkpointer=saver)
    assert waiting(run(graph, told(TOWER), as_user("ada"))) == [TOWER]
    for stranger in ("bob", ""):
        with pytest.raises(InputError):
            run(graph, told(WALL), as_user(stranger))
        assert WALL not in str(graph.get_state(as_user("ada")).values)
    assert waiting(run(graph, None, as_user("ada"))) == [TOWER]  # her own is asked about again
    assert asking.home.episodes("ada") == asking.home.episodes("bob") == []


def test_a_refused_message_does_not_stay_where_the_graph_runs_in_an_event_loop(
    asking: Learners, tmp_path: Path
) -> None:
    async def talk() -> list[str]:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
            graph = create_chat_graph(asking).compile(checkpointer=saver)
            await graph.ainvoke(told(TOWER), as_user("ada"))
            with pytest.raises(InputError, match=REFUSED):
                await graph.ainvoke(told(WALL), as_user("bob"))
            with pytest.raises(InputError, match=REFUSED):
                [_ async for _ in graph.astream(told(WALL), as_user("bob"))]
            state = await graph.ainvoke(None, as_user("ada"))
            assert WALL not in str(state)
            return waiting(state)

    assert asyncio.run(talk()) == [TOWER]


def test_the_message_of_a_run_that_failed_is_not_learned_for_another_user(
    backend: ScriptedBackend, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners = Learners(backend, home)
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver())
    with monkeypatch.context() as patch:
        patch.setattr(ScriptedBackend, "generate", None)
        with suppress(TypeError):
            graph.invoke(told(WALL), as_user("bob"))
    with pytest.raises(InputError, match="the last message belongs to another user"):
        graph.invoke(None, as_user("ada"))
    assert home.episodes("ada") == []
    assert graph.invoke(told(TOWER), as_user("ada"))["outcomes"][0]["outcome"] == "accepted"
    assert [episode.text for episode in home.episodes("ada")] == [TOWER]


def test_a_message_put_in_the_place_of_another_users_is_whose_it_is_now(backend: ScriptedBackend, home: Home) -> None:
    graph = create_chat_graph(Learners(backend, home)).compile(
        checkpointer=InMemorySaver(), interrupt_before=["respond"]
    )
    graph.invoke({"messages": [HumanMessage(TOWER, id="1")]}, as_user("ada"))
    graph.invoke({"messages": [HumanMessage(WALL, id="1")]}, as_user("bob"))
    with pytest.raises(InputError, match="the last message belongs to another user"):
        graph.invoke(None, as_user("ada"))
    assert home.episodes("ada") == []


@pytest.mark.slow
def test_what_another_user_said_before_is_not_told_to_the_writer(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home)
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver())
    for user, text in (("bob", WALL), ("ada", GREETING), ("ada", TOWER)):
        graph.invoke(told(text), as_user(user))
    assert all("Copper Wall" not in episode.earlier for episode in home.episodes("ada"))
    assert any(GREETING in episode.earlier for episode in home.episodes("ada"))


def test_a_refused_message_is_not_queued(backend: ScriptedBackend, home: Home) -> None:
    queue = LearningQueue(home)
    graph = create_chat_graph(Learners(backend, home), queue).compile(checkpointer=InMemorySaver())
    graph.invoke(told(TOWER), as_user("ada"))
    with pytest.raises(InputError, match="this run names none"):
        graph.invoke(told(WALL), as_user(""))
    assert WALL not in str(graph.invoke(None, as_user("ada")))
    assert [(job.namespace, job.passage.text) for job in queue.jobs()] == [("ada", TOWER)]


@pytest.mark.slow
def test_a_refused_document_is_not_read_for_another_user(asking: Learners, saver: Any) -> None:
    graph = create_ingest_graph(asking).compile(checkpointer=saver)
    assert waiting(graph.invoke({"document": TOWER}, as_user("ada"))) == [TOWER]
    with pytest.raises(InputError, match=REFUSED):
        graph.invoke({"document": WALL}, as_user("bob"))
    assert waiting(graph.invoke(None, as_user("ada"))) == [TOWER]


def test_a_document_that_could_not_be_read_is_not_read_for_another_user(backend: ScriptedBackend, home: Home) -> None:
    graph = create_ingest_graph(Learners(backend, home)).compile(checkpointer=InMemorySaver())
    with pytest.raises(InputError, match="no/such"):
        graph.invoke({"document": WALL, "content_type": "no/such"}, as_user("bob"))
    with pytest.raises(InputError, match="belongs to another user; give a document"):
        graph.invoke({"content_type": "text/plain"}, as_user("ada"))
    assert home.episodes("ada") == []


def test_the_name_of_one_document_is_not_that_of_the_next(backend: ScriptedBackend, home: Home) -> None:
    graph = create_ingest_graph(Learner(backend, home)).compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "one"}}
    graph.invoke({"document": TOWER, "source": "towers"}, thread)
    state = graph.invoke({"document": WALL}, thread)
    assert [report["outcome"] for report in state["outcomes"]] == ["accepted"]  # and nothing of the towers forgotten


def test_the_middleware_takes_a_refused_message_out(asking: Learners) -> None:
    told_agent = agent(asking)
    told_agent.invoke(told(TOWER), as_user("ada"))
    for stranger in ("bob", ""):
        with pytest.raises(InputError):
            told_agent.invoke(told(WALL), as_user(stranger))
        assert WALL not in str(told_agent.get_state(as_user("ada")).values)
    assert waiting(told_agent.invoke(None, as_user("ada"))) == [TOWER]
    assert waiting(told_agent.invoke(told(BRIDGE), as_user("ada"))) == [TOWER]


def test_the_middleware_takes_a_refused_message_out_in_an_event_loop(asking: Learners) -> None:
    async def talk() -> list[str]:
        told_agent = agent(asking)
        await told_agent.ainvoke(told(TOWER), as_user("ada"))
        with pytest.raises(InputError, match=REFUSED):
            await told_agent.ainvoke(told(WALL), as_user("bob"))
        with pytest.raises(InputError, match=REFUSED):
            [_ async for _ in told_agent.astream(told(WALL), as_user("bob"))]
        state = await told_agent.ainvoke(None, as_user("ada"))
        assert WALL not in str(state)
        return waiting(state)

    assert asyncio.run(talk()) == [TOWER]


def test_a_message_whose_run_failed_at_once_is_its_authors(
    backend: ScriptedBackend, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = create_chat_graph(Learners(backend, home)).compile(checkpointer=InMemorySaver())
    with monkeypatch.context() as patch:
        patch.setattr(Learners, "of", None)  # as a home that cannot be opened
        with suppress(TypeError):
            graph.invoke(told(WALL), as_user("bob"))
    with pytest.raises(InputError, match="the last message belongs to another user"):
        graph.invoke(None, as_user("ada"))
    assert home.episodes("ada") == []


@pytest.mark.parametrize("user", ["bob", "ada"])
@pytest.mark.parametrize(
    ("create", "given"), [(create_chat_graph, told(WALL)), (create_ingest_graph, {"document": WALL})]
)
def test_what_was_stopped_before_its_author_was_noted_is_taken_up_by_nobody(
    backend: ScriptedBackend, home: Home, create: Any, given: dict[str, Any], user: str
) -> None:
    graph = create(Learners(backend, home)).compile(checkpointer=InMemorySaver(), interrupt_before=["receive"])
    graph.invoke(given, as_user("ada"))
    with pytest.raises(InputError, match="send the input again in a new run"):
        graph.invoke(None, as_user(user))
    assert home.episodes("ada") == home.episodes("bob") == []
    graph.interrupt_before_nodes = []
    again = told(TOWER) if "messages" in given else {"document": TOWER}
    graph.invoke(again, as_user("bob"))
    assert [episode.text for episode in home.episodes("bob")] == [TOWER]


def test_one_user_goes_on_with_what_was_stopped(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver(), interrupt_before=["receive"])
    graph.invoke(told(TOWER), {"configurable": {"thread_id": "one"}})
    state = graph.invoke(None, {"configurable": {"thread_id": "one"}})
    assert [report["outcome"] for report in state["outcomes"]] == ["accepted"]


def test_an_agent_memorizes_only_what_the_user_who_speaks_wrote(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home)
    idea = "CALL memorize " + json.dumps({"fact": WALL})
    middleware = [SelfAdaptation(learners, with_tools=True)]
    talking = create_agent(
        Literal(learner=learners, idea=idea), tools=[], middleware=middleware, checkpointer=InMemorySaver()
    )
    talking.invoke(told(WALL), as_user("bob"))
    state = talking.invoke(told("Go on."), as_user("eve"))
    assert "the user did not say this" in str(state["messages"])
    assert [episode.text for episode in home.episodes("bob")] == [WALL]
    assert all("Copper" not in episode.text + episode.earlier for episode in home.episodes("eve"))


def test_a_turn_of_another_user_that_failed_is_not_part_of_this_one(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home)
    broken = create_agent(
        Literal(learner=None), tools=[], middleware=[SelfAdaptation(learners)], checkpointer=(saver := InMemorySaver())
    )
    with suppress(AttributeError):
        broken.invoke(told(GREETING), as_user("bob"))
    mended = agent(learners, saver=saver)
    with pytest.raises(InputError, match=REFUSED):
        mended.invoke(told(TOWER), as_user("ada"))
    mended.invoke(None, as_user("bob"))
    mended.invoke(told(TOWER), as_user("ada"))
    assert [episode.text for episode in home.episodes("ada")] == [TOWER]


def test_only_what_a_refused_run_brought_is_removed() -> None:
    ada = [SystemMessage("Be kind.", id="0"), HumanMessage("Hi", id="1"), AIMessage("Ho", id="2")]
    known = speakers.with_authors(ada[:2], {}, "ada")
    brought = [HumanMessage("x", id="3"), AIMessage("y", id="4"), HumanMessage("z", id="5")]
    assert [gone.id for gone in speakers.removal([*ada, *brought], known)] == ["3", "4", "5"]
    assert [gone.id for gone in speakers.removal([*ada, brought[0]], {})] == ["3"]  # of a thread without authors
    assert speakers.removal(ada, known) == []
