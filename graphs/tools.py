"""Tools for agents that choose themselves what to learn: memorize, adapt, forget, recall_sources.

`memorize` never learns the model's words: its argument only selects which of the user's passages is learned. Results of
`recall_sources` are marked as recalled, so that they are not learned again. `forget` deletes permanently: if texts of
strangers reach the agent, protect it with LangChain's `HumanInTheLoopMiddleware(interrupt_on={"forget": True})`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.prebuilt import ToolRuntime

from seal_agent.core.characters import whole
from seal_agent.core.codec import to_json
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import SealError
from seal_agent.core.outcomes import Outcome
from seal_agent.core.stacks import AdapterStack
from seal_agent.documents.passages import split_passages
from seal_agent.graphs import speakers
from seal_agent.graphs.learning import create_learning_graph
from seal_agent.graphs.messages import as_text
from seal_agent.graphs.namespaces import AnyLearner, current
from seal_agent.graphs.pending import as_pending
from seal_agent.graphs.speakers import is_users
from seal_agent.language.base import for_text
from seal_agent.learning.learner import Learner
from seal_agent.serving.relevance import About, relevance
from seal_agent.storage.jobs import LearningQueue
from seal_agent.unlearning.forget import forget as unlearn

RECALLED = {"recalled": True}
"""The artifact of a tool message that repeats learned text."""
HELD = ("held", "a person has to approve it: seal-agent queue list")
NUM_CONFIRMED, NUM_SOURCES = 5, 3  # adapters that the model is asked about, and sources that are returned
MIN_NATS = 6.0  # by which a source must make the question likelier, by words and by the model together
MIN_SAID = 0.5  # share of a fact's words that its passage must hold


def learning_tools(learner: AnyLearner, queue: LearningQueue | None = None) -> list[BaseTool]:
    """The four tools; with a `queue`, `memorize` and `adapt` leave the learning to a worker."""
    loop: Any = create_learning_graph(learner, queue).compile()

    def learn(passages: Sequence[Passage], episode: Episode | None = None) -> str:
        given = as_pending(list(passages), current(learner).namespace) | (
            {"episode": to_json(episode)} if episode else {}
        )
        ended = loop.invoke(given)
        waiting = [Outcome(passage.topic, *HELD).to_json() for passage in passages] if "__interrupt__" in ended else []
        return json.dumps([*ended["outcomes"], *waiting])

    def memorize(fact: str, runtime: ToolRuntime) -> str:
        """Remember for good what the user said about one fact; state the fact in the user's own words."""
        passage = told_in(fact, passages_of(_own(runtime)))
        if passage is None:
            raise ToolException("the user did not say this; memorize only what the user stated")
        return learn([passage], None if queue else current(learner).begin(passage, thread=_thread(runtime)))

    def adapt(runtime: ToolRuntime) -> str:
        """Learn for good what the user's last message tells."""
        own = _own(runtime)
        said = [number for number, message in enumerate(own) if _says_something(message)]
        if not said:
            raise ToolException("the user has written nothing yet")
        return learn(passages_of(own, said[-1]))

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
        """The messages of the run's user, if `SelfAdaptation` has recorded authors; else all."""
        state = runtime.state
        return speakers.of(state.get("messages", ()), state.get("authors") or {}, current(learner).namespace)

    tools: list[BaseTool] = [_tool(function) for function in (memorize, adapt, forget)]
    return [*tools, _tool(recall_sources, response_format="content_and_artifact")]


def _tool(function: Any, **options: Any) -> BaseTool:
    return StructuredTool.from_function(function, handle_tool_error=True, **options)


def sources(learner: Learner, question: str) -> list[dict[str, Any]]:
    """The served edits that a question is about, best first, each with the text it was learned from.

    A description is shorter than a question, so words and model must decide together.
    """
    if not question.strip():
        return []
    base = learner.backend.with_stack(AdapterStack())
    router = learner.state.router_over(set(learner.stack.learned))
    near = router.scores(question)[:NUM_CONFIRMED]
    told_of = relevance(base.score, [About(question, router.excerpt(adapter, question)) for adapter, _ in near])
    nats = {adapter: words + model for (adapter, words), model in zip(near, told_of, strict=True)}
    best = sorted((i for i in nats if nats[i] >= MIN_NATS), key=lambda i: -nats[i])[:NUM_SOURCES]
    told = {e.adapter.id: e for e in learner.state.accepted(best) if e.adapter}
    return [
        {"topic": e.topic, "text": e.text, "source": e.source, "thread": e.thread, "adapter": i}
        for i in best
        if (e := told.get(i))
    ]


def passages_of(messages: Sequence[AnyMessage], begin: int = 0) -> list[Passage]:
    """The user's messages from index `begin` on, oldest first, as passages like those of the chat graph."""
    return [
        passage
        for number, message in enumerate(messages)
        if number >= begin and _says_something(message)
        for passage in split_passages(str(message.text), earlier=as_text(messages[:number]))
    ]


def told_in(fact: str, passages: Sequence[Passage]) -> Passage | None:
    """The passage that a fact is about: it holds all names and numbers of the fact and most of its other words.

    Of several, the one with the most similar words, then the first. It may contradict the fact: the passage is learned,
    not the fact.
    """
    fact = whole(fact)
    language = for_text(fact)
    words, names = language.content(fact), {word for name in language.names_in(fact) for word in _words(name)}
    best, most = None, 0.0
    for passage in passages:
        said = language.content(passage.text)
        shared = len(words & said)
        is_about = bool(shared) and names <= _words(passage.text) and shared >= MIN_SAID * len(words)
        likeness = shared / len(words | said) if is_about else 0.0
        if likeness > most:
            best, most = passage, likeness
    return best


def _says_something(message: AnyMessage) -> bool:
    """Whether the user wrote the message and it holds text."""
    return is_users(message) and bool(str(message.text).strip())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _thread(runtime: ToolRuntime) -> str:
    return str(runtime.config.get("configurable", {}).get("thread_id", ""))
