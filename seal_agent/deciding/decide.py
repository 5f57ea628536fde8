"""Whether to learn a text: read off the model's own states, with a word on instructions and on what it knows.

Three questions, in this order: a text that orders the model about is never learned from; a head on the base
model's states says whether it is worth learning (`classifier`); and a text the served stack is hardly surprised
by, although the base model is, has been learned already.
"""

from __future__ import annotations

from seal_agent.core.backend import Backend, Reading
from seal_agent.core.episodes import Decision, Novelty
from seal_agent.core.redaction import NOTHING_LEFT, lost_secret
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import Head, features_of, read
from seal_agent.language.base import for_text, is_instruction
from seal_agent.language.few_shot import examples_in
from seal_agent.language.words import has_name_or_number

WORTH, NOT_WORTH = "worth learning", "nothing lasting or new"
INSTRUCTION = "an instruction to the model, not knowledge"
KNOWN = "learned already"
MIN_WORDS = 10  # that carry content, in what a document says without a name or a number
KNOWN_SHARE = 0.4  # of the base model's surprise that is left once a text has been learned


def needs_head(text: str, *, is_document: bool = False) -> bool:
    """Whether the head has a say about a text; fitting one for a new model takes minutes, so it is not done in vain."""
    is_wanted = _tells(text) if is_document else bool(examples_in(text))
    return not is_wanted and not is_instruction(text)


def decide(backend: Backend, head: Head | None, text: str, earlier: str = "", *, is_document: bool = False) -> Decision:
    """The decision on one message or passage, for the stack of `backend`.

    `head` may be None where `needs_head` says no. `margin` is its score above its threshold, 0 without one;
    `novelty` is the surprise of the stack that is served. `earlier` is what was said before, as
    `core.messages.conversation` writes it. A task that a user shows by examples
    is worth learning whatever the head makes of it: it was fitted on facts. A document's word is not taken for that;
    but somebody handed it over to be learned, so the head is asked only about few words that name nothing, no name and
    no number: "All rights reserved", a greeting.
    """
    base = read(backend.with_stack(AdapterStack()), [text], [earlier])[0]
    served = read(backend, [text], [earlier])[0] if backend.stack.entries else base
    margin = float(head.scores(features_of([base]))[0]) - head.threshold if head else 0.0
    is_wanted = _tells(text) if is_document else bool(examples_in(text))
    reason = _reason(text, margin, base, served, is_wanted=is_wanted)
    return Decision(reason == WORTH, reason, round(margin, 4), novelty(served))


def _tells(text: str) -> bool:
    return has_name_or_number(text) or len(for_text(text).content(text)) >= MIN_WORDS


def novelty(reading: Reading) -> Novelty:
    """How surprised the model was: total nats over its tokens."""
    return Novelty(round(sum(reading.surprise), 4), len(reading.surprise))


def _reason(text: str, margin: float, base: Reading, served: Reading, *, is_wanted: bool) -> str:
    if is_instruction(text):
        return INSTRUCTION
    if margin < 0 and not is_wanted:
        return NOTHING_LEFT if lost_secret(text) else NOT_WORTH
    if novelty(served).nats < KNOWN_SHARE * novelty(base).nats:
        return KNOWN
    return WORTH
