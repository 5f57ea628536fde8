"""Whether a message is about a text, by the model: how much likelier the text makes the message.

It is the query likelihood (Ponte and Croft 1998), as a ratio to the likelihood without the text. Words alone cannot
tell "the opposite bank" from "What is the opposite of full?"; this score can, and costs one scoring pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seal_agent.core.episodes import Score
from seal_agent.core.messages import Prompt
from seal_agent.language.prompts import ABOUT, PLAIN

Scorer = Callable[[Sequence[Prompt], Sequence[str]], Sequence[Score]]
"""`Backend.score` of the base model."""
MAX_WORDS = 60  # of a message: a longer one tells something, and its beginning shows what it is about
MAX_CHARS = 600  # of those words: a text without spaces is one word of any length


@dataclass(frozen=True)
class About:
    """A message and the text it may be about; `earlier`: what was said before a follow-up."""

    message: str
    text: str
    earlier: str = ""

    @property
    def _asked(self) -> str:
        return _cut(self.message)

    @property
    def _before(self) -> str:
        return f"{_cut(self.earlier)}\n\n" if self.earlier else ""

    @property
    def with_text(self) -> tuple[Prompt, str]:
        """The prompt that shows the text, and what is scored after it."""
        return Prompt.user(f"{self.text}\n\n{self._before}{ABOUT}"), self._asked

    @property
    def without(self) -> tuple[Prompt, str]:
        """The same without the text."""
        return Prompt.user(f"{self._before}{PLAIN}"), self._asked


def relevance(score: Scorer, pairs: Sequence[About]) -> list[float]:
    """For each pair the nats by which the text makes the message likelier; messages must not be empty."""
    if not pairs:
        return []
    plain = list(dict.fromkeys(pair.without for pair in pairs))
    asked = [*plain, *(pair.with_text for pair in pairs)]
    scores = [s.logprob for s in score([prompt for prompt, _ in asked], [message for _, message in asked])]
    alone = dict(zip(plain, scores, strict=False))
    return [told - alone[pair.without] for pair, told in zip(pairs, scores[len(plain) :], strict=True)]


def _cut(text: str) -> str:
    return " ".join(text.split()[:MAX_WORDS])[:MAX_CHARS]
