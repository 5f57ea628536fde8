"""A process killed in the middle of learning goes on without learning twice."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from saying import said
from threads import GREETING, TOWER, thread

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.codec import from_json, to_json
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.graphs import create_chat_graph
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home


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
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home

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
    ("close", "after", GREETING),
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
    assert [path.name for path in learner.state.registry.root.iterdir()] == list(learner.stack.ids)
    with sqlite3.connect(home.database) as db:
        assert db.execute("SELECT COUNT(*) - COUNT(DISTINCT question || answer) FROM replay").fetchone() == (0,)


def test_a_thread_resumed_before_accept_serves_only_the_candidate_that_was_judged(learner: Learner) -> None:
    graph = create_chat_graph(learner).compile(checkpointer=InMemorySaver(), interrupt_before=["accept"])
    said(graph, TOWER, thread("one"))
    episode = from_json(Episode, graph.get_state(thread("one")).values["episode"])
    layers = tuple(replace(entry, weight=0.5) for entry in episode.candidate.entries)
    changed = replace(episode, candidate=AdapterStack(layers))
    graph.update_state(thread("one"), {"episode": to_json(changed)})
    with pytest.raises(InputError, match="the verdict belongs to another candidate"):
        graph.invoke(None, thread("one"))
    graph.update_state(thread("one"), {"episode": to_json(episode)}, as_node="judge")
    graph.invoke(None, thread("one"))
    assert graph.invoke(None, thread("one"))["outcomes"][0]["outcome"] == "accepted"


@pytest.mark.slow
def test_what_was_closed_before_the_kill_is_not_written_down_twice(homes: dict[str, Path]) -> None:
    with resumed(homes["close"]) as (learner, state):
        assert [report["outcome"] for report in state["outcomes"]] == ["ignored"]
    assert [e.outcome for e in learner.home.episodes("default")] == ["ignored"]
