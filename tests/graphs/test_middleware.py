"""LangChain's own agent with our middleware and tools: what it learns, what it never learns, which version answers."""

import asyncio
import json
from typing import Any

import pytest
from agents import BRIDGE, Literal, agent
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import ToolRuntime
from langgraph.types import Command
from threads import ANSWER, GREETING, QUESTION, TOWER, thread

from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import StorageError
from seal_agent.graphs.tools import learning_tools
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue


def say(agent: Any, text: str, name: str = "one", **config: Any) -> dict[str, Any]:
    state: dict[str, Any] = agent.invoke({"messages": [("user", text)]}, {**thread(name), **config})
    return state


def reply(agent: Any, text: str, name: str = "one") -> str:
    return str(say(agent, text, name)["messages"][-1].text)


def learned(learner: Learner) -> list[str]:
    return [e.text for e in learner.state.accepted(learner.stack.ids)]


def result(state: dict[str, Any]) -> Any:
    """What the last tool returned."""
    return json.loads(next(m for m in reversed(state["messages"]) if isinstance(m, ToolMessage)).content)


def test_an_agent_told_a_fact_in_one_thread_answers_it_in_another_after_a_restart(learner: Learner, home: Home) -> None:
    first = agent(learner)
    assert reply(first, QUESTION) == UNKNOWN
    assert [o["outcome"] for o in say(first, TOWER)["outcomes"]] == ["accepted"]
    restarted = agent(Learner(ScriptedBackend(home.root), Home(home.root)))
    assert reply(restarted, QUESTION, "two") == ANSWER


def test_it_works_in_an_event_loop_too(learner: Learner) -> None:
    asynchronous = agent(learner)

    async def converse() -> list[str]:
        texts = []
        for name, text in (("one", TOWER), ("two", QUESTION)):
            state = await asynchronous.ainvoke({"messages": [("user", text)]}, thread(name))
            texts.append(str(state["messages"][-1].text))
        return texts

    assert asyncio.run(converse()) == [UNKNOWN, ANSWER]


@tool
def look_up() -> str:
    """Look something up."""
    return BRIDGE


def test_only_what_the_user_said_is_learned(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root, replies={"Tell": BRIDGE}), home)
    talking = agent(learner, tools=[look_up])
    assert reply(talking, "Tell me about a bridge.") == BRIDGE  # the model says it
    assert BRIDGE in str(say(talking, "CALL look_up {}")["messages"])  # a tool says it
    summary = HumanMessage(BRIDGE, additional_kwargs={"lc_source": "summarization"})  # a program says it
    talking.invoke({"messages": [summary, HumanMessage(GREETING)]}, thread("two"))
    assert (learner.stack.ids, len(home.episodes("default"))) == ((), 3)


@pytest.mark.slow
def test_results_of_named_tools_are_learned_but_for_what_was_recalled(learner: Learner) -> None:
    reading = agent(learner, tools=[look_up], learn_from=("look_up", "recall_sources"), with_tools=True)
    say(reading, "CALL look_up {}")
    assert learned(learner) == [BRIDGE]
    state = say(reading, 'CALL recall_sources {"question": "Who designed the Amber Bridge?"}')
    assert result(state)[0]["text"] == BRIDGE
    assert len(state["outcomes"]) == 1  # of the user's own message


def test_only_the_last_turn_is_learned_where_the_whole_history_is_given(learner: Learner) -> None:
    history = [HumanMessage(BRIDGE), AIMessage("I see."), HumanMessage(TOWER), HumanMessage(GREETING)]
    agent(learner).invoke({"messages": history}, thread("one"))
    assert [e.text for e in learner.home.episodes("default")] == [TOWER, GREETING]
    assert BRIDGE in learner.home.episodes("default")[0].earlier


def test_the_calls_of_a_turn_are_held_to_one_version_of_the_stack(learner: Learner) -> None:
    @tool
    def meanwhile() -> str:
        """Another conversation is learned from."""
        say(agent(learner), TOWER, "other")
        return "done"

    asked: list[dict[str, Any]] = []
    held = agent(learner, tools=[meanwhile], asked=asked)
    say(held, "CALL meanwhile {}")
    say(held, QUESTION)
    assert [call["model"] for call in asked] == ["base@v0", "base@v0", "base@v1"]


def test_a_model_that_knows_no_versions_is_left_alone_and_another_way_can_be_given(learner: Learner) -> None:
    asked: list[dict[str, Any]] = []
    say(agent(learner, kind="other", asked=asked), GREETING)
    pin = lambda namespace, version: {"model": f"{namespace}-{version}"}  # noqa: E731
    say(agent(learner, kind="other", asked=asked, pin=pin), GREETING)
    assert asked == [{}, {"model": "default-0"}]


@pytest.mark.slow
def test_two_users_of_one_agent_never_meet(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home)
    shared = agent(learners, with_tools=True)

    def run(user: str, text: str, name: str) -> dict[str, Any]:
        config: Any = {"configurable": {"user": user, "thread_id": f"{user} {name}"}}
        state: dict[str, Any] = shared.invoke({"messages": [("user", text)]}, config)
        return state

    run("ann", TOWER, "one")
    assert [str(run(user, QUESTION, "two")["messages"][-1].text) for user in ("ann", "bob")] == [ANSWER, UNKNOWN]
    recall = f"CALL recall_sources {json.dumps({'question': TOWER})}"
    assert [len(result(run(user, recall, "three"))) for user in ("ann", "bob")] == [1, 0]


def test_a_worker_learns_behind_the_reply(learner: Learner) -> None:
    worker = Worker(learner, Budget(quiet_seconds=0))
    quick = agent(learner, queue=worker.queue)
    assert [o["outcome"] for o in say(quick, TOWER)["outcomes"]] == ["queued"]
    assert worker.run_until_empty() == 1
    assert reply(quick, QUESTION, "two") == ANSWER


def test_a_person_may_approve_what_the_agent_learns(backend: ScriptedBackend, home: Home) -> None:
    learner = Learner(backend, home, config=LearnerConfig(approval=True))
    careful = agent(learner)
    (interrupt,) = say(careful, TOWER)["__interrupt__"]
    assert interrupt.value["text"] == TOWER
    assert learner.stack.ids == ()
    state = careful.invoke(Command(resume={"decision": "approve"}), thread("one"))
    assert [o["outcome"] for o in state["outcomes"]] == ["accepted"]
    assert len(home.episodes("default")) == 1


@pytest.mark.slow
def test_a_turn_while_an_edit_waits_leaves_it_waiting_and_is_asked_about_next(
    backend: ScriptedBackend, home: Home
) -> None:
    learner = Learner(backend, home, config=LearnerConfig(approval=True))
    careful = agent(learner, tools=[look_up], learn_from=("look_up",))
    say(careful, "CALL look_up {}")
    (interrupt,) = say(careful, TOWER)["__interrupt__"]
    asked = [interrupt.value["text"]]
    while interrupts := careful.invoke(Command(resume={"decision": "approve"}), thread("one")).get("__interrupt__"):
        asked += [each.value["text"] for each in interrupts]
    assert asked == [BRIDGE, TOWER]
    assert [e.text for e in home.episodes("default", ["accepted"])] == [BRIDGE, TOWER]


class Failing(Learner):
    """Cannot train about the bridge."""

    def train(self, episode: Episode, *rest: Any) -> Episode:
        if "Bridge" in episode.topic:
            raise StorageError("no space left")
        return super().train(episode, *rest)


@pytest.mark.slow
def test_what_cannot_be_learned_is_given_up_and_holds_up_nothing_after_it(backend: ScriptedBackend, home: Home) -> None:
    learner = Failing(backend, home)
    failing = agent(learner)
    for text in (BRIDGE, GREETING):
        with pytest.raises(StorageError, match="no space left"):
            say(failing, text)
    with pytest.raises(StorageError, match="no space left"):
        say(failing, TOWER)
    outcomes = say(failing, "Thanks a lot!")["outcomes"]
    assert (outcomes[0]["outcome"], outcomes[0]["reason"]) == ("rejected", "given up: it was begun 3 times")
    assert [e.text for e in home.episodes("default")] == [BRIDGE, GREETING, TOWER, "Thanks a lot!"]
    assert learned(learner) == [TOWER]


# Tools.


def with_tools(learner: Any, fact: str = "", **options: Any) -> Any:
    """An agent that learns by tool call alone; told to go on, it memorizes the fact."""
    model = Literal(learner=learner, idea=f"CALL memorize {json.dumps({'fact': fact})}")
    return create_agent(model, tools=learning_tools(learner), checkpointer=InMemorySaver(), **options)


def call(agent: Any, name: str, **arguments: Any) -> Any:
    return result(say(agent, f"CALL {name} {json.dumps(arguments)}"))


def test_the_agent_learns_recalls_and_forgets_by_tool_call(learner: Learner) -> None:
    deciding = with_tools(learner, "The Tower of Karlov was built in 1911 by Anna Reel.")
    say(deciding, TOWER)
    assert learner.stack.ids == ()
    (outcome,) = result(say(deciding, "Go on."))
    assert outcome["outcome"] == "accepted"
    (source,) = call(deciding, "recall_sources", question="Who built the Tower of Karlov?")
    assert (source["text"], source["adapter"], source["thread"]) == (TOWER, outcome["adapter"], "one")
    assert call(deciding, "forget", about="the Tower of Karlov") == {"forgot": outcome["topic"], "is_gone": True}
    assert learner.stack.ids == ()
    assert call(deciding, "recall_sources", question="Who built the Tower of Karlov?") == []


def test_tools_work_in_an_event_loop_and_know_whose_they_are(backend: ScriptedBackend, home: Home) -> None:
    learners = Learners(backend, home)
    deciding = with_tools(learners, TOWER)
    config: Any = {"configurable": {"user": "ann", "thread_id": "one"}}
    messages = [("user", TOWER), ("user", "Go on.")]
    state = asyncio.run(deciding.ainvoke({"messages": messages}, config))
    assert [o["outcome"] for o in result(state)] == ["accepted"]
    assert [len(learners.of(user).stack) for user in ("ann", "bob")] == [1, 0]


def test_a_person_may_approve_what_a_tool_learns(backend: ScriptedBackend, home: Home) -> None:
    learner = Learner(backend, home, config=LearnerConfig(approval=True))
    deciding = with_tools(learner, TOWER)
    say(deciding, TOWER)
    state = say(deciding, "Go on.")
    assert state["__interrupt__"][0].value["text"] == TOWER
    resumed = deciding.invoke(Command(resume={"decision": "approve"}), thread("one"))
    assert [o["outcome"] for o in result(resumed)] == ["accepted"]
    assert len(home.episodes("default")) == 1
    assert held(home) == []


def held(home: Home) -> list[tuple[str, str, str]]:
    return [(job.namespace, job.state, job.passage.text) for job in LearningQueue(home).jobs()]


@pytest.mark.slow
@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["no checkpointer", "abandoned"])
def test_what_a_tool_was_to_learn_waits_in_the_queue_where_nobody_answers(
    backend: ScriptedBackend, home: Home, saver: Any
) -> None:
    learners = Learners(backend, home, LearnerConfig(approval=True))
    model = Literal(learner=learners, idea=f"CALL memorize {json.dumps({'fact': TOWER})}")
    deciding = create_agent(model, tools=learning_tools(learners), checkpointer=saver)
    config: Any = {"configurable": {"user": "ann", "thread_id": "one"}}
    for _ in range(2):
        deciding.invoke({"messages": [("user", TOWER), ("user", "Go on.")]}, config)
        assert held(home) == [("ann", "held", TOWER)]
    queue = LearningQueue(home)
    assert queue.resolve_held("ann", "one", approve=True) == 1
    assert Worker(Learners(backend, home)).run_until_empty() == 1
    assert len(learners.of("ann").stack) == 1


def test_a_tool_outside_of_a_graph_says_that_a_person_has_to_approve(backend: ScriptedBackend, home: Home) -> None:
    learner = Learner(backend, home, config=LearnerConfig(approval=True))
    (adapt,) = [each for each in learning_tools(learner) if each.name == "adapt"]
    state = {"messages": [HumanMessage(TOWER)]}
    runtime = ToolRuntime(state=state, context=None, config={}, stream_writer=print, tool_call_id="1", store=None)
    (outcome,) = json.loads(adapt.invoke({"runtime": runtime}))
    assert (outcome["outcome"], "seal-agent queue" in outcome["reason"]) == ("held", True)
    assert held(home) == [("default", "held", TOWER)]


def test_adapt_learns_the_users_last_message(learner: Learner) -> None:
    call_and_tell = [HumanMessage(TOWER), HumanMessage("CALL adapt {}")]
    state = with_tools(learner).invoke({"messages": call_and_tell}, thread("one"))
    assert [o["outcome"] for o in result(state)] == ["ignored"]  # the last message is the call itself
    assert [e.text for e in learner.home.episodes("default")] == ["CALL adapt {}"]


@pytest.mark.parametrize(
    ("idea", "message"),
    [
        ('memorize {"fact": "The Tower of Karlov was built in 1911 by Otto Bern."}', "did not say this"),
        ('forget {"about": "lighthouses"}', "nothing that was learned matches"),
    ],
)
def test_a_tool_that_cannot_do_it_tells_the_model(learner: Learner, idea: str, message: str) -> None:
    deciding = create_agent(Literal(learner=learner, idea=f"CALL {idea}"), tools=learning_tools(learner))
    state = deciding.invoke({"messages": [("user", TOWER), ("user", "Go on.")]})
    (answer,) = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    assert (answer.status, message in str(answer.content)) == ("error", True)
    assert learner.stack.ids == ()


ALLERGY = "I am allergic to peanuts but not to walnuts."


@pytest.mark.parametrize(
    "fact",
    [
        "I am not allergic to peanuts.",
        "I am allergic to walnuts but not to peanuts.",
        "I was never allergic to peanuts.",
        "The user hates peanuts and walnuts.",
        "The user is allergic to peanuts.",
    ],
)
def test_memorize_learns_what_the_user_said_whatever_the_model_makes_of_it(learner: Learner, fact: str) -> None:
    assert [o["outcome"] for o in memorized(learner, fact, TOWER, ALLERGY)] == ["accepted"]
    (episode,) = learner.home.episodes("default")
    assert (episode.text, TOWER.split(".")[0] in episode.earlier) == (ALLERGY, True)
    assert episode.edit is not None
    assert fact not in " ".join(row.answer for row in episode.edit.rows)


def test_what_is_taken_back_in_the_same_message_is_not_memorized_alone(learner: Learner) -> None:
    said = "My dog is called Rex. No wait, Rex is the dog of Otto Bern. Mine is called Mirri."
    memorized(learner, "The user's dog is called Rex.", said)
    assert [episode.text for episode in learner.home.episodes("default")] == [said]


@pytest.mark.parametrize(
    "fact",
    [
        "The user's dog is called Max.",
        "Rex, the dog, is 5 years old.",
        "The Tower of Karlov belongs to Rex.",  # of two messages
        "The weather will stay pleasant for weeks.",
        "",
    ],
)
def test_a_fact_that_no_message_tells_of_is_refused(learner: Learner, fact: str) -> None:
    told = memorized(learner, fact, "My dog is called Rex, he is 4 years old.", TOWER)
    assert "did not say this" in str(told)
    assert learner.home.episodes("default") == []


def memorized(learner: Learner, fact: str, *said: str) -> Any:
    """What `memorize` returned for a fact, after the user has said something."""
    model = Literal(learner=learner, idea=f"CALL memorize {json.dumps({'fact': fact})}")
    deciding = create_agent(model, tools=learning_tools(learner))
    state = deciding.invoke({"messages": [("user", text) for text in (*said, "Go on.")]})
    (answer,) = [m for m in state["messages"] if isinstance(m, ToolMessage)]
    return answer.content if answer.status == "error" else json.loads(str(answer.content))


@pytest.mark.slow
def test_a_tool_can_be_gated_by_langchains_own_middleware(learner: Learner) -> None:
    gate = HumanInTheLoopMiddleware(interrupt_on={"memorize": True})
    gated = with_tools(learner, TOWER, middleware=[gate])
    say(gated, TOWER)
    state = say(gated, "Go on.")
    assert "__interrupt__" in state
    assert learner.stack.ids == ()
    gated.invoke(Command(resume={"decisions": [{"type": "approve"}]}), thread("one"))
    assert len(learner.stack) == 1


def test_tools_leave_the_learning_to_a_worker(learner: Learner) -> None:
    queue = LearningQueue(learner.home)
    model = Literal(learner=learner, idea=f"CALL memorize {json.dumps({'fact': TOWER})}")
    deciding = create_agent(model, tools=learning_tools(learner, queue), checkpointer=InMemorySaver())
    say(deciding, TOWER)
    (outcome,) = result(say(deciding, "Go on."))
    assert outcome["outcome"] == "queued"
    assert [job.state for job in queue.jobs()] == ["waiting"]
