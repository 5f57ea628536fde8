"""Whether a message speaks of a text, as the model sees it: how much likelier the text makes the message.

Query likelihood (Ponte and Croft 1998), as a ratio to the likelihood without the text. Words alone cannot tell what is
said of the opposite bank from "What is the opposite of full?"; this can, at the price of reading a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seal_agent.core.episodes import Score
from seal_agent.core.messages import Prompt
from seal_agent.language.prompts import ABOUT, PLAIN

Scorer = Callable[[Sequence[Prompt], Sequence[str]], Sequence[Score]]
"""As `Backend.score`, of the base model."""
MAX_WORDS = 60  # of a message: whoever says more tells something, and its beginning says of what
MAX_CHARS = 600  # of those words: what has no spaces is one word, however long


def relevance(score: Scorer, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """For each (message, text) the nats by which the text makes the message likelier; messages are not empty."""
    if not pairs:
        return []
    asked = [" ".join(message.split()[:MAX_WORDS])[:MAX_CHARS] for message, _ in pairs]
    with_text = [Prompt.user(f"{text}\n\n{ABOUT}") for _, text in pairs]
    plain = list(dict.fromkeys(asked))
    scores = [s.logprob for s in score([Prompt.user(PLAIN)] * len(plain) + with_text, [*plain, *asked])]
    alone = dict(zip(plain, scores, strict=False))
    return [told - alone[message] for message, told in zip(asked, scores[len(plain) :], strict=True)]
