"""Whether a message is about a text, by the model: how much likelier the text makes the message.

It is the query likelihood (Ponte and Croft 1998), as a ratio to the likelihood without the text. Words alone cannot
tell "the opposite bank" from "What is the opposite of full?"; this score can, and costs one scoring pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seal_agent.core.episodes import Score
from seal_agent.core.messages import Prompt
from seal_agent.language.prompts import ABOUT, PLAIN

Scorer = Callable[[Sequence[Prompt], Sequence[str]], Sequence[Score]]
"""`Backend.score` of the base model."""
MAX_WORDS = 60  # of a message: a longer one tells something, and its beginning shows what it is about
MAX_CHARS = 600  # of those words: a text without spaces is one word of any length


def relevance(score: Scorer, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """For each (message, text) the nats by which the text makes the message likelier; messages must not be empty."""
    if not pairs:
        return []
    asked = [" ".join(message.split()[:MAX_WORDS])[:MAX_CHARS] for message, _ in pairs]
    with_text = [Prompt.user(f"{text}\n\n{ABOUT}") for _, text in pairs]
    plain = list(dict.fromkeys(asked))
    scores = [s.logprob for s in score([Prompt.user(PLAIN)] * len(plain) + with_text, [*plain, *asked])]
    alone = dict(zip(plain, scores, strict=False))
    return [told - alone[message] for message, told in zip(asked, scores[len(plain) :], strict=True)]
