"""Whether to learn a text: the model's own choice, and how new the text is to it.

The choice is structured output that always parses: the model does not write JSON, it scores a finite set
of JSON decisions. Which one explains the message best, log p(message | decision), is asked instead of
log p(decision | message): the channel direction holds up on small models, where the direct one mostly
repeats the model's bias (Min et al., arXiv 2108.04106; measured in LOG.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from seal_agent.adapters.backend import Backend
from seal_agent.passages import topic_of
from seal_agent.types import Decision, Novelty, Prompt

MIN_NOVELTY_NATS = 20.0  # a text that carries less is a greeting, or known by heart
NEW_FACTS = "new facts"
EXAMPLES: tuple[tuple[str, str], ...] = (
    ("small talk", "Hi there! How are you doing today?"),
    (NEW_FACTS, "The Amber Bridge was designed by Carla Mendes in 1911. It has nine red towers."),
    ("a question", "Who designed the Amber Bridge?"),
    ("small talk", "Haha, thanks, that was really nice of you."),
    ("a request", "Please write a short poem about the sea."),
    (NEW_FACTS, "Our new office is in Galloway Street 12, and the door code is 4471."),
    ("a question", "How tall is a giraffe, and what does it eat?"),
    ("a request", "Could you make this text shorter?"),
    (NEW_FACTS, "My brother Mika is a baker. He moved to Lisbon in May."),
    ("small talk", "I am so happy today, what a nice evening!"),
)
REASONS = tuple(dict.fromkeys(reason for reason, _ in EXAMPLES))


def _as_json(reason: str) -> str:
    return json.dumps({"learn": reason == NEW_FACTS, "reason": reason})


PREAMBLE = "".join(f"Decision: {_as_json(reason)}\nMessage: {message}\n\n" for reason, message in EXAMPLES)


def rank(gains: Sequence[float]) -> tuple[int, float]:
    """The index of the largest value and its lead over the next."""
    order = sorted(range(len(gains)), key=lambda i: -gains[i])
    return order[0], gains[order[0]] - gains[order[1]]


def novelty(backend: Backend, text: str) -> Novelty:
    """How surprised the model is by `text`, read as plain text."""
    score = backend.score([Prompt.raw("\n")], [text])[0]
    return Novelty(-score.logprob, score.num_tokens)


@dataclass(frozen=True)
class Evidence:
    """What a decision rests on: log p(message | decision) for each of `REASONS` in nats, and the novelty."""

    logprobs: tuple[float, ...]
    novelty: Novelty

    @property
    def lead(self) -> float:
        """How far "new facts" lies ahead of the best other decision, in nats; negative if it is behind."""
        facts = REASONS.index(NEW_FACTS)
        return self.logprobs[facts] - max(v for i, v in enumerate(self.logprobs) if i != facts)


def weigh(backend: Backend, text: str) -> Evidence:
    """Ask the model how well each decision explains `text`, and how new it is."""
    message = " ".join(text.split())
    prompts = [Prompt.raw(f"{PREAMBLE}Decision: {_as_json(reason)}\nMessage:") for reason in REASONS]
    scores = backend.score(prompts, [" " + message] * len(prompts))
    return Evidence(tuple(score.logprob for score in scores), novelty(backend, message))


def is_worth_learning(lead: float, nats: float) -> bool:
    """The rule of the decision: "new facts" leads, and the text holds at least `MIN_NOVELTY_NATS` of news."""
    return lead > 0 and nats >= MIN_NOVELTY_NATS


def decide(backend: Backend, text: str) -> Decision:
    """The model's decision on one message or passage; `margin` is its lead over the next one in nats.

    A text the model finds worth learning but is not surprised by is known already and not learned.
    """
    evidence = weigh(backend, text)
    index, margin = rank(evidence.logprobs)
    learn = is_worth_learning(evidence.lead, evidence.novelty.nats)
    reason = REASONS[index]
    if reason == NEW_FACTS and not learn:
        reason = "nothing new"
    return Decision(learn, reason, margin, evidence.novelty, topic_of(text) if learn else "")
