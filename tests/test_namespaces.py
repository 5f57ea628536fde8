"""Two users of one graph never meet, and a process killed in the middle of learning goes on without learning twice."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from test_graphs import ANSWER, GREETING, QUESTION, TOWER

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.errors import InputError
from seal_agent.graphs import create_chat_graph, create_ingest_graph
from seal_agent.graphs.namespaces import LearnContext
from seal_agent.graphs.state import ChatState
from seal_agent.home import Home
from seal_agent.learner import Learner
from seal_agent.learners import Learners
from seal_agent.types import Episode


@pytest.fixture
def learners(backend: ScriptedBackend, home: Home) -> Learners:
    return Learners(backend, home)


def run(user: str, thread: str = "one") -> Any:
    return {"configurable": {"user_id": user, "thread_id": f"{user} {thread}"}}


def said(graph: Any, text: str, config: Any, **options: Any) -> str:
    return str(graph.invoke({"messages": [("user", text)]}, config, **options)["messages"][-1].text)


def test_the_same_question_is_answered_to_each_user_from_what_that_user_said(learners: Learners) -> None:
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver())
    said(graph, TOWER, run("ann"))
    assert [said(graph, QUESTION, run(user, "two")) for user in ("ann", "bob")] == [ANSWER, UNKNOWN]
    said(graph, TOWER.replace("1911", "1422").replace("Anna Reel", "Otto Bern"), run("bob"))
    answers = [said(graph, QUESTION, run(user, "three")) for user in ("ann", "bob")]
    assert answers[0] == ANSWER
    assert "Otto Bern" not in answers[0]
    mine, theirs = (learners.of(user) for user in ("ann", "bob"))
    assert not set(mine.stack.ids) & set(theirs.stack.ids)
    for learner, words in ((mine, "Otto Bern"), (theirs, "Anna Reel")):
        items = [item.probe.answer for item in learner.replay.items(learner.stack)]
        assert words not in f"{items}{learner.home.route_keys(learner.namespace)}"
        assert words not in str(learner.home.episodes(learner.namespace, ["accepted"])[0].edit)


def test_a_namespace_may_be_a_thread_or_come_from_the_context(backend: ScriptedBackend, home: Home) -> None:
    threads = Learners(backend, home, scope="thread")
    graph = create_chat_graph(threads).compile(checkpointer=InMemorySaver())
    said(graph, TOWER, run("ann"))
    assert [said(graph, QUESTION, run("ann", thread)) for thread in ("one", "two")] == [ANSWER, UNKNOWN]
    assert len(threads.of("ann one").stack) == 1
    assert said(graph, QUESTION, run("ann", "two"), context=LearnContext("ann one")) == ANSWER


def test_documents_are_each_users_too(learners: Learners) -> None:
    graph = create_ingest_graph(learners).compile()
    found = [graph.invoke({"document": TOWER}, run(user))["outcomes"][0]["outcome"] for user in ("ann", "bob", "ann")]
    assert found == ["accepted", "accepted", "known"]


def test_a_run_without_a_user_is_refused(learners: Learners, learner: Learner) -> None:
    with pytest.raises(InputError, match="user_id"):
        said(create_chat_graph(learners).compile(), GREETING, {})
    with pytest.raises(InputError, match="'default', not for 'bob'"):
        said(create_chat_graph(learner).compile(), GREETING, {}, context=LearnContext("bob"))


def test_a_learner_is_made_once_and_the_oldest_is_let_go(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home, max_open=2)
    first = learners.of("a")
    assert learners.of("a") is first
    learners.of("b")
    learners.of("c")
    assert learners.of("a") is not first
    assert learners.of("c").backend is backend


def test_the_chat_graph_is_a_node_of_another(learner: Learner) -> None:
    outer = StateGraph(ChatState)
    outer.add_node("learning chat", create_chat_graph(learner).compile())
    outer.add_edge(START, "learning chat")
    graph = outer.compile(checkpointer=InMemorySaver())
    said(graph, TOWER, run("ann"))
    assert said(graph, QUESTION, run("ann", "two")) == ANSWER


# A process that is killed.


class Counting(Learner):
    """Counts what it does."""

    num_trained = 0

    def train(self, *arguments: Any) -> Episode:
        self.num_trained += 1
        return super().train(*arguments)


KILLED = """
import os, sys
from pathlib import Path
from langgraph.checkpoint.sqlite import SqliteSaver
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.graphs import create_chat_graph
from seal_agent.home import Home
from seal_agent.learner import Learner

def run(home, verb, moment, text):
    class Killed(Learner):
        pass

    def killed(self, *arguments):
        if moment == "after":
            getattr(Learner, verb)(self, *arguments)
        os._exit(9)

    setattr(Killed, verb, killed)
    learner = Killed(ScriptedBackend(home), Home(home))
    with SqliteSaver.from_conn_string(str(home / "threads.sqlite")) as saver:
        graph = create_chat_graph(learner).compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "one"}}
        graph.invoke({"messages": [("user", text)]}, config, durability="sync")

for line in sys.stdin.read().splitlines():
    home, verb, moment, text = line.split("|")
    child = os.fork()
    if not child:
        run(Path(home), verb, moment, text)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
CASES = [
    ("train", "after", TOWER),
    ("probe", "before", TOWER),
    ("accept", "after", TOWER),
    ("ignore", "after", GREETING),
]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What processes left behind that were killed at one verb each; they are forked from one, to be quick."""
    found = {verb: tmp_path_factory.mktemp(verb) for verb, _, _ in CASES}
    told = "\n".join("|".join((str(found[verb]), verb, *rest)) for verb, *rest in CASES)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", KILLED],
        input=told,
        text=True,
        capture_output=True,
        check=True,
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"},
    )
    assert done.stdout.split() == ["9"] * len(CASES), done.stderr
    return found


@contextmanager
def resumed(root: Path) -> Iterator[tuple[Counting, dict[str, Any]]]:
    """The learner and the state after a thread is resumed in this process."""
    learner = Counting(ScriptedBackend(root), Home(root))
    with SqliteSaver.from_conn_string(str(root / "threads.sqlite")) as saver:
        graph = create_chat_graph(learner).compile(checkpointer=saver)
        yield learner, graph.invoke(None, {"configurable": {"thread_id": "one"}})


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "num_trained"), [("train", 1), ("probe", 0), ("accept", 0)])
def test_a_killed_process_resumes_without_learning_twice(homes: dict[str, Path], verb: str, num_trained: int) -> None:
    with resumed(homes[verb]) as (learner, state):
        assert [report["outcome"] for report in state["outcomes"]] == ["accepted"]
        assert state["outcomes"][0]["adapter"] == learner.stack.ids[0]
        assert learner.num_trained == num_trained
        home = learner.home
    assert len(home.versions("default")) == 1
    assert [e.outcome for e in home.episodes("default")] == ["accepted"]
    assert [path.name for path in learner.registry.root.iterdir()] == list(learner.stack.ids)
    with sqlite3.connect(home.database) as db:
        assert db.execute("SELECT COUNT(*) - COUNT(DISTINCT question || answer) FROM replay").fetchone() == (0,)


@pytest.mark.slow
def test_what_was_closed_before_the_kill_is_not_written_down_twice(homes: dict[str, Path]) -> None:
    with resumed(homes["ignore"]) as (learner, state):
        assert [report["outcome"] for report in state["outcomes"]] == ["ignored"]
    assert [e.outcome for e in learner.home.episodes("default")] == ["ignored"]
