"""The chat graph: reply first, then learn from the user's message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from langchain_core.messages import AnyMessage, RemoveMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from seal_agent.core.characters import whole
from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.core.messages import conversation as as_text
from seal_agent.core.redaction import redacted
from seal_agent.documents.passages import split_passages, topic_of
from seal_agent.graphs import speakers
from seal_agent.graphs.announcements import announcement, without_announcements, without_requests
from seal_agent.graphs.attachments import attached_passages
from seal_agent.graphs.chat_model import ChatSeal
from seal_agent.graphs.conversations import fitted
from seal_agent.graphs.learning import ENTRIES, REFUSE, Node, add_learning, enqueuing, entry, refusal, refusing, targets
from seal_agent.graphs.messages import as_message, said_on
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, check_giver, current, speaking
from seal_agent.graphs.pending import carried, check_speaker, thread_of_run
from seal_agent.graphs.requests import confirmed
from seal_agent.graphs.state import ChatState
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import check_learner
from seal_agent.storage.jobs import LearningQueue


def create_chat_graph(
    learner: AnyLearner, queue: LearningQueue | None = None, *, announce: bool = False
) -> StateGraph[ChatState, LearnContext, ChatState, ChatState]:
    """An uncompiled chat agent that learns from its user; compile it with a checkpointer of your choice.

    The node "respond" puts the reply into the state; its tokens come on the message stream (`stream_mode="messages"`).
    Learning follows in the same run, and an accepted edit is served from the next turn on. Progress comes on the custom
    stream as `StepEvent` dictionaries. With a `queue` the run ends with the reply, a `Worker` learns in the background,
    and `outcomes` holds the job of every passage.

    Built on `Learners` the graph serves many users with separate adapters; `configurable` names the user of a run.
    Passages that an earlier run of the thread left unfinished are learned first. If a run is refused, because the
    thread belongs to another user or no user is named, its message is removed from the thread. A message that cannot be
    answered, because it is longer than the context or holds an unreadable file, is removed too, and the ledger records
    it with the reason. In a thread longer than the context the reply uses the newest turns; `notes` says so.

    Requests such as "forget ...", "undo that" and "what do you know about me?" get a reply that is made from what is
    stored (`graphs.requests`). With `announce` a line in the thread says after the reply what was learned, corrected or
    forgotten; no model reads it. A graph with a `queue` cannot announce, because it learns after the run.
    """
    check_learner(learner)
    if announce and queue is not None:
        raise InputError("announce=True with a queue: nothing is learned in the run; leave one of the two out")
    builder = StateGraph(ChatState, context_schema=LearnContext)
    after_reply = _after_reply(is_queued=queue is not None)
    builder.add_node("respond", _responding(learner, queue))
    builder.add_node("receive", _receiving(learner), destinations=("respond", REFUSE))
    builder.add_node(REFUSE, refusing(learner))
    builder.add_edge(START, "receive")
    if queue is None:
        last = "announce" if announce else END
        add_learning(builder, learner, last)
        builder.add_conditional_edges("respond", after_reply, targets((REFUSE, "unlearn", *ENTRIES), last))
        builder.add_conditional_edges(REFUSE, entry, targets(("unlearn", *ENTRIES), last))
        if announce:
            builder.add_node("announce", _announce)
            builder.add_edge("announce", END)
    else:
        builder.add_node("enqueue", enqueuing(learner, queue))
        builder.add_conditional_edges("respond", after_reply, [REFUSE, "enqueue"])
        builder.add_edge(REFUSE, "enqueue")
        builder.add_edge("enqueue", END)
    return builder


def _announce(state: ChatState) -> dict[str, Any]:
    """Say in the thread what was learned, corrected or forgotten."""
    line = announcement(state["outcomes"])
    return {"messages": [line]} if line else {}


def _receiving(learner: AnyLearner) -> Node:
    """A node that notes who wrote the messages of the run, and takes those of a run that may not speak here out."""

    def receive(state: ChatState) -> Command[str]:
        messages, known = state["messages"], state.get("authors", {})
        removal = speakers.removal(messages, known)
        noted = {"brought": [str(message.id) for message in removal], "refused": []}
        try:
            namespace = speaking(learner)
            check_speaker(namespace, state, state.get("pending") or state.get("replaced"))
        except InputError:
            return Command(update={"messages": removal, **noted}, goto=REFUSE)
        try:
            check_giver(learner, is_known=speakers.are_known(messages, known))
        except InputError as error:
            authors = speakers.with_authors(messages, known, speakers.NOBODY)
            return Command(update={**noted, "authors": authors, "refused": refusal(error)}, goto=REFUSE)
        return Command(update={"authors": speakers.with_authors(messages, known, namespace), **noted}, goto="respond")

    return receive


def _responding(learner: AnyLearner, queue: LearningQueue | None) -> Node:
    """A node that replies, and gives the loop what the user said and attached."""
    model = ChatSeal(learner=learner)

    def respond(state: ChatState) -> dict[str, Any]:
        messages, chosen = state["messages"], current(learner)
        check_speaker(chosen.namespace, state, state.get("pending") or state.get("replaced"))
        own = without_announcements(speakers.of(messages, state.get("authors", {}), chosen.namespace))
        if own[-1:] != messages[-1:]:
            raise InputError("the last message belongs to another user; send a message of your own")
        try:
            _check_last(messages)
            asked = fitted(chosen, messages)
            said, files = _said(own), attached_passages(chosen, *speakers.unanswered(own))
        except InputError as error:
            return _refused(chosen, state, error)
        request = confirmed(chosen, own, said, thread_of_run(), queue)
        reply = request.message if request else model.invoke(asked.messages, namespace=chosen.namespace)
        said = request.passages(said) if request else said
        changed = files.changed if queue is None else files.versions  # a queued passage may be of an old version too
        update = carried(chosen, state, [*said, *files.fresh], files.versions, changed=changed)
        notes = [*files.notes, *[asked.note] * bool(asked.note)]
        reported = {"left_out": [asdict(each) for each in files.left_out], "notes": notes}
        told = reply.model_copy(update={"content": str(reply.text).strip()})
        return {"messages": [told], **reported, **update}

    return respond


def _after_reply(*, is_queued: bool) -> Callable[[ChatState], str]:
    """The edge out of the reply: into the loop or the queue, or to the refusal of the run."""

    def after_reply(state: ChatState) -> str:
        if state.get("refused"):
            return REFUSE
        return "enqueue" if is_queued else entry(state)

    return after_reply


def _check_last(messages: Sequence[AnyMessage]) -> None:
    """Raise `InputError` unless the conversation ends with a message of the user."""
    last = as_message(messages[-1]) if messages else None
    if last is None or last.role != "user":
        raise InputError("the last message is not the user's; add a HumanMessage before running the graph")
    if not last.content.strip():
        raise InputError("the message is empty; send some text")


def _said(own: Sequence[AnyMessage]) -> list[Passage]:
    """The user's messages without a reply, of this run and of earlier runs that failed, as passages."""
    begin = len(own) - len(speakers.since_reply(own))
    return [
        replace(passage, said_on=said_on(message))
        for number, message in enumerate(own)
        if number >= begin and speakers.is_users(message)
        for passage in split_passages(str(message.text), earlier=_before(own[:number]))
    ]


def _before(own: Sequence[AnyMessage]) -> str:
    """The conversation before a message, as it is stored with what is learned."""
    return as_text([as_message(each) for each in without_requests(own)])


def _refused(learner: Learner, state: ChatState, error: InputError) -> dict[str, Any]:
    """The update for messages that cannot be answered: remove them from the thread, and record why in the ledger."""
    brought = set(state.get("brought", ()))
    for message in state["messages"]:
        if str(message.id) in brought and speakers.is_users(message) and str(message.text).strip():
            text = redacted(whole(str(message.text)))  # before the topic is cut from it
            learner.give_up(Passage(topic_of(text), text), str(error), thread=thread_of_run())
    removal = [RemoveMessage(id=number) for number in state.get("brought", ())]
    return {"messages": removal, "refused": refusal(error)}
