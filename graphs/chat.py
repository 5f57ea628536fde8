"""The chat graph: reply first, then learn from what the user said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
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
from seal_agent.graphs.attachments import attached_passages
from seal_agent.graphs.chat_model import ChatSeal
from seal_agent.graphs.conversations import fitted
from seal_agent.graphs.learning import ENTRIES, REFUSE, add_learning, enqueuing, entry, refusal, refusing
from seal_agent.graphs.messages import as_message
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, check_giver, current, speaking
from seal_agent.graphs.pending import carried, check_speaker, thread_of_run
from seal_agent.graphs.state import ChatState
from seal_agent.learning.learner import Learner
from seal_agent.learning.learners import check_learner
from seal_agent.storage.jobs import LearningQueue


def create_chat_graph(
    learner: AnyLearner, queue: LearningQueue | None = None
) -> StateGraph[ChatState, LearnContext, ChatState, ChatState]:
    """An uncompiled chat agent that learns from its user.

    Compile it with the checkpointer of your choice. The reply is in the state after the node "respond", and its tokens
    come on the stream of messages (`stream_mode="messages"`);
    learning follows in the same run, and what it accepts is served from the next turn on. Progress comes
    on the custom stream as `StepEvent` dictionaries. With a `queue` the run ends with the reply and a `Worker` learns
    behind it; `outcomes` then holds the job of every passage. Built on `Learners` it serves many users, each with what
    that user said: `configurable` names who is speaking. What an earlier run of the thread left unfinished, because it
    waits for a person or was ended, is learned first. The message of a run that is refused, because it is not its
    user's thread or names nobody, does not stay in the thread; nor does a message that cannot be answered, because it
    is longer than the model reads or holds a file that cannot be read: the ledger keeps it, with the reason. A thread
    that has grown longer than the model reads is answered from its newest turns; `notes` says so.
    """
    check_learner(learner)
    model = ChatSeal(learner=learner)

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

    def respond(state: ChatState) -> dict[str, Any]:
        messages, chosen = state["messages"], current(learner)
        check_speaker(chosen.namespace, state, state.get("pending") or state.get("replaced"))
        own = speakers.of(messages, state.get("authors", {}), chosen.namespace)
        if own[-1:] != messages[-1:]:
            raise InputError("the last message is another user's and waits for that user; send one of your own")
        try:
            _check_last(messages)
            asked = fitted(chosen, messages)
            files = attached_passages(chosen, *speakers.unanswered(own))
        except InputError as error:
            return _refused(chosen, state, error)
        reply = model.invoke(asked.messages, namespace=chosen.namespace)
        changed = files.versions if queue else files.changed  # what waits in the queue may be of an old version too
        update = carried(chosen, state, [*_said(own), *files.fresh], files.versions, changed=changed)
        notes = [*files.notes, *[asked.note] * bool(asked.note)]
        reported = {"left_out": [asdict(each) for each in files.left_out], "notes": notes}
        told = reply.model_copy(update={"content": str(reply.text).strip()})
        return {"messages": [told], **reported, **update}

    def after_reply(state: ChatState) -> str:
        if state.get("refused"):
            return REFUSE
        return entry(state) if queue is None else "enqueue"

    builder = StateGraph(ChatState, context_schema=LearnContext)
    builder.add_node("respond", respond)
    builder.add_node("receive", receive, destinations=("respond", REFUSE))
    builder.add_node(REFUSE, refusing(learner))
    builder.add_edge(START, "receive")
    if queue is None:
        add_learning(builder, learner)
        builder.add_conditional_edges("respond", after_reply, [REFUSE, "unlearn", *ENTRIES])
        builder.add_conditional_edges(REFUSE, entry, ["unlearn", *ENTRIES])
    else:
        builder.add_node("enqueue", enqueuing(learner, queue))
        builder.add_conditional_edges("respond", after_reply, [REFUSE, "enqueue"])
        builder.add_edge(REFUSE, "enqueue")
        builder.add_edge("enqueue", END)
    return builder


def _check_last(messages: Sequence[AnyMessage]) -> None:
    """Raise `InputError` where the conversation does not end with what the user says."""
    last = as_message(messages[-1]) if messages else None
    if last is None or last.role != "user":
        raise InputError("the last message is not the user's; add a HumanMessage before running the graph")
    if not last.content.strip():
        raise InputError("the message is empty; say something")


def _said(own: Sequence[AnyMessage]) -> list[Passage]:
    """What the user's messages say that got no reply yet: those of this run, and of runs before it that failed."""
    begin = len(own) - len(speakers.since_reply(own))
    return [
        passage
        for number, message in enumerate(own)
        if number >= begin and speakers.is_users(message)
        for passage in split_passages(str(message.text), earlier=as_text([as_message(each) for each in own[:number]]))
    ]


def _refused(learner: Learner, state: ChatState, error: InputError) -> dict[str, Any]:
    """The update of a run whose messages cannot be answered: they leave the thread, and the ledger says why."""
    brought = set(state.get("brought", ()))
    for message in state["messages"]:
        if str(message.id) in brought and speakers.is_users(message) and str(message.text).strip():
            text = redacted(whole(str(message.text)))  # before a topic is cut from it
            learner.give_up(Passage(topic_of(text), text), str(error), thread=thread_of_run())
    removal = [RemoveMessage(id=number) for number in state.get("brought", ())]
    return {"messages": removal, "refused": refusal(error)}
