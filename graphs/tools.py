"""Tools for agents that decide themselves what to learn: memorize, adapt, forget, recall_sources.

`memorize` learns only what the user said: a fact that the model adds is refused. What `recall_sources` returns is
marked as recalled, so that nothing learns it again. `forget` deletes for good: where strangers' texts reach the agent,
gate it with LangChain's `HumanInTheLoopMiddleware(interrupt_on={"forget": True})`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.prebuilt import ToolRuntime

from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import SealError
from seal_agent.core.redaction import redacted
from seal_agent.core.stacks import AdapterStack
from seal_agent.documents.passages import split_passages, topic_of
from seal_agent.graphs import speakers
from seal_agent.graphs.learning import as_pending, create_learning_graph, told
from seal_agent.graphs.namespaces import AnyLearner, current
from seal_agent.graphs.speakers import is_users
from seal_agent.language.base import for_text
from seal_agent.learning.learner import Learner
from seal_agent.serving.relevance import relevance
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.forget import forget as unlearn

RECALLED = {"recalled": True}
"""The artifact of a tool message that repeats what was learned."""
HELD = ("held", "a person has to approve it: seal-agent queue list")
NUM_CONFIRMED, NUM_SOURCES = 5, 3  # adapters that the model reads about, and of those it confirms how many are named
MIN_NATS = 6.0  # by which a source makes the question likelier, in its words and to the model
MIN_SAID = 0.5  # of a fact's words; its names and numbers must all have been said


def learning_tools(learner: AnyLearner, queue: LearningQueue | None = None) -> list[BaseTool]:
    """The four tools; with a `queue`, `memorize` and `adapt` leave the learning to a worker."""
    loop: Any = create_learning_graph(learner, queue).compile()

    def learn(passages: Sequence[Passage], episode: Episode | None = None) -> str:
        given = as_pending(list(passages), current(learner).namespace) | (
            {"episode": to_json(episode)} if episode else {}
        )
        ended = loop.invoke(given)
        waiting = [told(passage.topic, *HELD) for passage in passages] if "__interrupt__" in ended else []
        return json.dumps([*ended["outcomes"], *waiting])

    def memorize(fact: str, runtime: ToolRuntime) -> str:
        """Remember for good one fact that the user stated, in the user's own words, as a full sentence."""
        said = " ".join(said_by_user(_own(runtime)))
        if not is_said(fact, said):
            raise ToolException("the user did not say this; memorize only what the user stated")
        chosen = current(learner)
        said = redacted(fact)  # before a topic is cut from it
        passage = Passage(topic_of(said), said)
        return learn([passage], None if queue else chosen.begin(passage, thread=_thread(runtime)))

    def adapt(runtime: ToolRuntime) -> str:
        """Learn for good what the user's last message tells."""
        said = said_by_user(_own(runtime))
        if not said:
            raise ToolException("the user has said nothing yet")
        return learn(split_passages(said[-1]))

    def forget(about: str) -> str:
        """Unlearn for good the one thing learned from the user that matches a description best."""
        chosen = current(learner)
        found = sources(chosen, about)
        if not found:
            raise ToolException("nothing that was learned matches; see recall_sources")
        try:
            forgotten = unlearn(chosen, edit=found[0]["adapter"])
        except SealError as error:
            raise ToolException(str(error)) from error
        return json.dumps({"forgot": found[0]["topic"], "is_gone": forgotten.check.is_gone})

    def recall_sources(question: str) -> tuple[str, dict[str, bool]]:
        """What was learned from the user that bears on a question: the texts, and where they came from."""
        return json.dumps(sources(current(learner), question)), RECALLED

    def _own(runtime: ToolRuntime) -> list[AnyMessage]:
        """The messages of the user who is speaking, where `SelfAdaptation` has noted who wrote which."""
        state = runtime.state
        return speakers.of(state.get("messages", ()), state.get("authors") or {}, current(learner).namespace)

    tools: list[BaseTool] = [_tool(function) for function in (memorize, adapt, forget)]
    return [*tools, _tool(recall_sources, response_format="content_and_artifact")]


def _tool(function: Any, **options: Any) -> BaseTool:
    return StructuredTool.from_function(function, handle_tool_error=True, **options)


def sources(learner: Learner, question: str) -> list[dict[str, Any]]:
    """The served edits that a question speaks of, best first, each with the text it was learned from.

    A description is shorter than a question, so that words and model decide together and neither alone.
    """
    if not question.strip():
        return []
    base = learner.backend.with_stack(AdapterStack())
    router = learner.state.router_over(set(learner.stack.learned))
    near = router.scores(question)[:NUM_CONFIRMED]
    told_of = relevance(base.score, [(question, router.excerpt(adapter, question)) for adapter, _ in near])
    nats = {adapter: words + model for (adapter, words), model in zip(near, told_of, strict=True)}
    best = sorted((i for i in nats if nats[i] >= MIN_NATS), key=lambda i: -nats[i])[:NUM_SOURCES]
    told = {e.adapter.id: e for e in learner.state.accepted(best) if e.adapter}
    return [
        {"topic": e.topic, "text": e.text, "source": e.source, "thread": e.thread, "adapter": i}
        for i in best
        if (e := told.get(i))
    ]


def said_by_user(messages: Sequence[AnyMessage | BaseMessage]) -> list[str]:
    """What the user wrote, oldest first, without what a program wrote in the user's name."""
    return [str(message.text) for message in messages if is_users(message) and str(message.text).strip()]


def is_said(fact: str, said: str) -> bool:
    """Whether a fact only repeats what was said: all its names and numbers, and most of its other words."""
    language = for_text(fact)
    words = language.content(fact)
    spoken = said.casefold()
    return (
        bool(words)
        and all(name.casefold() in spoken for name in language.names_in(fact))
        and len(words & language.content(said)) >= MIN_SAID * len(words)
    )


def _thread(runtime: ToolRuntime) -> str:
    return str(runtime.config.get("configurable", {}).get("thread_id", ""))
