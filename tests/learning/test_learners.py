"""Two users of one graph never meet, and a process killed in the middle of learning goes on without learning twice."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from saying import said
from threads import ANSWER, GREETING, QUESTION, TOWER, thread

from seal_agent import ChatSeal
from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message
from seal_agent.core.stacks import AdapterStack
from seal_agent.documents.passages import split_passages
from seal_agent.graphs import create_chat_graph, create_improve_graph, create_ingest_graph, give_feedback
from seal_agent.graphs.namespaces import LearnContext
from seal_agent.graphs.state import ChatState
from seal_agent.graphs.tools import sources
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import AUTHENTICATED, USER_KEYS, Learners, namespace_of
from seal_agent.serving import router
from seal_agent.storage.database import Home
from seal_agent.unlearning.forget import forget

BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."


@pytest.fixture
def learners(backend: ScriptedBackend, home: Home) -> Learners:
    return Learners(backend, home)


def run(user: str, thread: str = "one") -> Any:
    return {"configurable": {"user_id": user, "thread_id": f"{user} {thread}"}}


@pytest.mark.slow
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
        items = [item.probe.answer for item in learner.state.replay.items(learner.stack)]
        assert words not in f"{items}{learner.home.route_keys(learner.namespace)}"
        assert words not in str(learner.home.episodes(learner.namespace, ["accepted"])[0].edit)


def test_a_namespace_may_be_a_thread_or_come_from_the_context(backend: ScriptedBackend, home: Home) -> None:
    threads = Learners(backend, home, scope="thread")
    graph = create_chat_graph(threads).compile(checkpointer=InMemorySaver())
    said(graph, TOWER, run("ann"))
    assert said(graph, QUESTION, run("ann", "two")) == UNKNOWN
    assert len(threads.of("ann one").stack) == 1
    assert said(graph, QUESTION, run("ann", "two"), context=LearnContext(namespace="ann one")) == ANSWER


def test_documents_are_each_users_too(learners: Learners) -> None:
    graph = create_ingest_graph(learners).compile()
    found = [graph.invoke({"document": TOWER}, run(user))["outcomes"][0]["outcome"] for user in ("ann", "bob", "ann")]
    assert found == ["accepted", "accepted", "known"]


def test_a_run_without_a_user_is_refused(learners: Learners, learner: Learner) -> None:
    with pytest.raises(InputError, match="user_id"):
        said(create_chat_graph(learners).compile(), GREETING, {})
    with pytest.raises(InputError, match="this run names another user"):
        said(create_chat_graph(learner).compile(), GREETING, {}, context=LearnContext(namespace="bob"))


SPELLINGS = ("USER_ID", "userID", "UserName", "x-user-id", "langgraph_auth_user_email", "Email-Address")
ADA_NAMES = [{key: "ada"} for key in (*USER_KEYS, *SPELLINGS) if key != AUTHENTICATED]
ADA_NAMES += [{AUTHENTICATED: {"identity": "ada"}}, {AUTHENTICATED: SimpleNamespace(identity="ada")}]


@pytest.mark.parametrize("configurable", ADA_NAMES, ids=str)
def test_every_key_that_names_a_user_is_used_or_refused(
    learners: Learners, learner: Learner, configurable: dict[str, Any]
) -> None:
    config: Any = {"configurable": configurable}
    said(create_chat_graph(learners).compile(), TOWER, config)
    assert len(learners.of("ada").stack) == 1
    calls: list[Callable[[], Any]] = [
        lambda: said(create_chat_graph(learner).compile(), TOWER, config),
        lambda: create_ingest_graph(learner).compile().invoke({"document": TOWER}, config),
        lambda: create_improve_graph(learner).compile().invoke({}, config),
        lambda: ChatSeal(learner=learner).invoke(TOWER, config),
        lambda: ChatSeal(learner=learner, namespace="eve").invoke(TOWER, config),
        lambda: ChatSeal(learner=learners).invoke(TOWER, config, namespace="eve"),
        lambda: RunnableLambda(lambda _: give_feedback(learner, [HumanMessage("Hi"), AIMessage("Ho")])).invoke(
            "", config
        ),
    ]
    for call in calls:
        with pytest.raises(InputError, match="this run names another user; build it on Learners"):
            call()
    assert learner.home.episodes("default") == learner.home.episodes("eve") == []
    own = Learner(learner.backend, learner.home, "ada")
    assert said(create_chat_graph(own).compile(), QUESTION, config) == ANSWER


UNKNOWN_KEYS = (
    "actor_id",
    "customer_id",
    "accountId",
    "clerk_user_id",
    "Chat-User",
    "nickname",
    "login_email",
    "owner",
)


@pytest.mark.parametrize("key", UNKNOWN_KEYS)
def test_an_unknown_key_that_may_name_a_user_is_refused_by_its_name(
    learners: Learners, learner: Learner, key: str
) -> None:
    graph = create_chat_graph(learner).compile()
    for config, options in (({"configurable": {key: "bob"}}, {}), ({}, {"context": {key: "bob"}})):
        with pytest.raises(InputError, match=f"{key}.* may name a user, .* 'user_id'"):
            said(graph, TOWER, config, **options)
    with pytest.raises(InputError, match=f"this run names none; .*{key}.* is not read"):
        namespace_of(learners, {key: "bob"})
    assert namespace_of(learners, {key: "bob", "user": "ann"}) == "ann"
    assert namespace_of(learner, {}, {}, {key: "bob"}) == namespace_of(learner, {key: None}) == "default"


def test_the_keys_of_langgraph_and_of_tracers_name_no_user(learner: Learner) -> None:
    keys = ("thread_id", "checkpoint_id", "checkpoint_ns", "run_id", "graph_id", "assistant_id", "task_id", "trace_id")
    own = dict.fromkeys([*keys, "langgraph_request_id", "__pregel_task_id", "model_name", "session_id"], "x")
    assert namespace_of(learner, own) == "default"


@pytest.mark.parametrize(
    "nobody", [{}, {"user": ""}, {"user": None, AUTHENTICATED: None}, {AUTHENTICATED: ""}], ids=str
)
def test_nobody_is_named_by_what_is_empty(learners: Learners, learner: Learner, nobody: dict[str, Any]) -> None:
    assert namespace_of(learner, nobody) == "default"
    with pytest.raises(InputError, match="names none; name one in `configurable`: namespace or user"):
        namespace_of(learners, nobody)


@pytest.mark.parametrize("value", [False, " ", ["ada"], {"name": "ada"}, 1.5], ids=str)
def test_what_is_no_name_is_refused(learners: Learners, learner: Learner, value: Any) -> None:
    for given in (learner, learners):
        with pytest.raises(InputError, match="cannot name a user; give a text"):
            namespace_of(given, {"user": value})


def test_a_number_is_a_name_and_never_the_default(learners: Learners, learner: Learner) -> None:
    assert namespace_of(learners, {"user": 0}) == "0"
    with pytest.raises(InputError, match="names another user"):
        namespace_of(learner, {"user": 0})


def test_a_run_that_names_two_users_is_refused(learners: Learners, learner: Learner) -> None:
    both = {"user": "ann", "langgraph_auth_user_id": "bob"}
    for given in (learners, Learner(learner.backend, learner.home, "ann")):
        with pytest.raises(InputError, match="names different users"):
            namespace_of(given, both)
        with pytest.raises(InputError, match="names different users"):
            said(create_chat_graph(given).compile(), GREETING, run("ann"), context=LearnContext(namespace="bob"))
    assert namespace_of(learners, {"user": "ann", "user_id": "ann", "langgraph_auth_user_id": ""}) == "ann"


@pytest.mark.slow
@pytest.mark.parametrize("key", ["user_id", "userId", "username", "email", "sub"])
def test_a_user_named_in_a_context_or_in_metadata_is_used_or_refused(
    learners: Learners, learner: Learner, key: str
) -> None:
    ways: list[tuple[Any, Any]] = [({}, {key: "ada"}), ({"metadata": {key: "ada"}}, None)]
    for config, context in ways:
        said(create_chat_graph(learners).compile(), TOWER, config, context=context)
        with pytest.raises(InputError, match="names another user"):
            said(create_chat_graph(learner).compile(), TOWER, config, context=context)
        with pytest.raises(InputError, match="names another user"):
            create_ingest_graph(learner).compile().invoke({"document": TOWER}, config, context=context)
    assert len(learners.of("ada").stack) == 1
    assert learner.home.episodes("default") == []
    with pytest.raises(InputError, match=r"names different users in .*metadata"):
        namespace_of(learners, {"user": "bob"}, {}, {key: "ada"})
    with pytest.raises(InputError, match="names another user"):
        ChatSeal(learner=learner).invoke(GREETING, {"metadata": {key: "ada"}})


def test_what_names_no_user_is_passed_over(learners: Learners, learner: Learner) -> None:
    others = {
        "user_agent": "x",
        "users": 3,
        "subject": "towers",
        "user_role": "admin",
        "subgraph": {},
        "thread_id": "1",
    }
    assert namespace_of(learner, others, others, {**others, "namespace": "cluster"}) == "default"
    with pytest.raises(InputError, match="this run names none"):
        namespace_of(learners, others, others, others)


@pytest.mark.parametrize("key", ["tenant_id", "tenantId", "org_id", "organization", "x-tenant-id"])
def test_users_of_one_name_in_two_tenants_never_share(learners: Learners, learner: Learner, key: str) -> None:
    for given in ({key: "acme", "user": "ada"}, {key: "acm", "user": "acme/ada"}):
        with pytest.raises(InputError, match="names a tenant"):
            namespace_of(learners, given)
    with pytest.raises(InputError, match="names a tenant"):
        namespace_of(learner, {key: "acme"})
    with pytest.raises(InputError, match="names a tenant"):
        namespace_of(learner, {}, {key: "acme"})
    with pytest.raises(InputError, match="this run names none"):
        namespace_of(learners, {key: "acme"})
    assert namespace_of(learners, {key: "acme", "user": "acme/ada"}) == "acme/ada"
    assert namespace_of(Learner(learner.backend, learner.home, "acme"), {key: "acme"}) == "acme"


def test_no_error_names_another_user(learners: Learners, learner: Learner) -> None:
    owner = Learner(learner.backend, learner.home, "ada")
    for given, said_by in ((owner, {"user": "bob"}), (learners, {"user": "bob", "langgraph_auth_user_id": "ada"})):
        with pytest.raises(InputError) as told:
            namespace_of(given, said_by)
        assert "ada" not in str(told.value)


@dataclass(frozen=True)
class Whose:
    user_id: str


def test_a_user_in_the_context_of_another_agent_is_used_or_refused(learners: Learners, learner: Learner) -> None:
    def graph(given: Any) -> Any:
        outer = StateGraph(ChatState, context_schema=Whose)
        outer.add_node("told", create_chat_graph(given).compile())
        outer.add_node("asked", lambda _: {"messages": [ChatSeal(learner=given).invoke(QUESTION)]})
        outer.add_edge(START, "told")
        outer.add_edge("told", "asked")
        return outer.compile()

    assert said(graph(learners), TOWER, {}, context=Whose("ann")) == ANSWER
    with pytest.raises(InputError, match="names another user"):
        said(graph(learner), TOWER, {}, context=Whose("ann"))


def test_forgetting_for_one_user_and_a_fifth_user_rebuild_no_router_of_others(
    learners: Learners, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = loop.run(learners.of("user 0"), learners.of("user 0").begin(split_passages(TOWER)[0]))
    keys = learners.home.route_keys("user 0")
    users = [f"user {number}" for number in range(5)]
    for user in users[1:]:
        with learners.home.transaction() as tx:
            learners.home.set_stack(tx, user, known.candidate, expected=AdapterStack(), reason="test")
            learners.home.set_route_keys(tx, user, {i: f"{key}\nTold by {user}." for i, key in keys.items()})
    asked = [[Message("user", QUESTION)]]
    assert [learners.of(user).answer(asked) for user in users] == [[ANSWER]] * 5
    learners.of(users[0]).state.clear_caches()
    monkeypatch.setattr(router, "Router", None)  # none is built any more
    assert [learners.of(user).answer(asked) for user in users[1:]] == [[ANSWER]] * 4
    assert sources(learners.of(users[1]), QUESTION) == []


def test_a_router_with_a_key_that_was_forgotten_elsewhere_is_dropped(learner: Learner) -> None:
    worker = learner.within("default")
    done = [loop.run(learner, learner.begin(passage)) for passage in split_passages(TOWER) + split_passages(BRIDGE)]
    assert worker.answer([[Message("user", QUESTION)]]) == [ANSWER]
    forget(learner, edit=done[0].adapter.id if done[0].adapter else "")
    assert worker.answer([[Message("user", QUESTION)]]) == [UNKNOWN]
    assert "Anna Reel" not in str(list(worker.state._routers._built))


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
    said(graph, TOWER, thread("one"))
    assert said(graph, QUESTION, thread("two")) == ANSWER


def test_what_was_told_by_one_user_is_not_learned_for_another_who_resumes_the_thread(learners: Learners) -> None:
    graph = create_chat_graph(learners).compile(checkpointer=InMemorySaver(), interrupt_before=["decide"])
    ann, bob = ({"configurable": {"thread_id": "one", "user": user}} for user in ("ann", "bob"))
    said(graph, TOWER, ann)
    with pytest.raises(InputError, match="the text of another user"):
        graph.invoke(None, bob)
    assert learners.home.episodes("bob") == []
    assert graph.invoke(None, ann)["outcomes"][0]["outcome"] == "accepted"
