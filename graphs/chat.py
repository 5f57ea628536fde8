"""The chat graph: reply first, then learn from what the user said."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from seal_agent.core.errors import InputError
from seal_agent.core.messages import conversation as as_text
from seal_agent.documents.passages import split_passages
from seal_agent.graphs import speakers
from seal_agent.graphs.attachments import attached_passages
from seal_agent.graphs.chat_model import ChatSeal
from seal_agent.graphs.learning import ENTRIES, REFUSE, add_learning, carried, check_speaker, enqueuing, entry, refusing
from seal_agent.graphs.messages import as_message, without_attachments
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current, speaking
from seal_agent.graphs.state import ChatState
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
    user's thread or names nobody, does not stay in the thread.
    """
    model = ChatSeal(learner=learner)

    def receive(state: ChatState) -> Command[str]:
        messages, known = state["messages"], state.get("authors", {})
        try:
            namespace = speaking(learner)
            check_speaker(namespace, state, state.get("pending") or state.get("replaced"))
        except InputError:
            return Command(update={"messages": speakers.removal(messages, known)}, goto=REFUSE)
        return Command(update={"authors": speakers.with_authors(messages, known, namespace)}, goto="respond")

    def respond(state: ChatState) -> dict[str, Any]:
        conversation = [as_message(message) for message in state["messages"]]
        if not conversation or conversation[-1].role != "user":
            raise InputError("the last message is not the user's; add a HumanMessage before running the graph")
        if not conversation[-1].content.strip():
            raise InputError("the message is empty; say something")
        chosen = current(learner)
        check_speaker(chosen.namespace, state, state.get("pending") or state.get("replaced"))
        own = speakers.of(state["messages"], state.get("authors", {}), chosen.namespace)
        if own[-1:] != state["messages"][-1:]:
            raise InputError("the last message is another user's and waits for that user; send one of your own")
        reply = model.invoke([without_attachments(each) for each in state["messages"]], namespace=chosen.namespace)
        said = split_passages(str(state["messages"][-1].text), earlier=as_text([as_message(each) for each in own[:-1]]))
        files = attached_passages(chosen, state["messages"][-1])
        changed = files.versions if queue else files.changed  # what waits in the queue may be of an old version too
        update = carried(chosen, state, [*said, *files.fresh], files.versions, changed=changed)
        reported = {"left_out": [asdict(each) for each in files.left_out], "notes": list(files.notes)}
        told = reply.model_copy(update={"content": str(reply.text).strip()})
        return {"messages": [told], **reported, **update}

    builder = StateGraph(ChatState, context_schema=LearnContext)
    builder.add_node("respond", respond)
    builder.add_node("receive", receive, destinations=("respond", REFUSE))
    builder.add_node(REFUSE, refusing(learner))
    builder.add_edge(START, "receive")
    if queue is None:
        add_learning(builder, learner)
        for last in ("respond", REFUSE):
            builder.add_conditional_edges(last, entry, ["unlearn", *ENTRIES])
    else:
        builder.add_node("enqueue", enqueuing(learner, queue))
        builder.add_edge("respond", "enqueue")
        builder.add_edge(REFUSE, "enqueue")
        builder.add_edge("enqueue", END)
    return builder
