"""Whether to learn a text: the classifier, and rules for instructions and for known texts.

Three steps, in this order: a text that gives the model orders is never learned; the classifier on the base model's
states says whether the text is worth learning (`classifier`); a text that surprises the base model but hardly the
served stack has been learned already.
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
MIN_WORDS = 10  # content words in a text of a document without a name or a number
KNOWN_SHARE = 0.4  # a text counts as known below this share of the base model's surprisal


def needs_head(text: str, *, is_document: bool = False) -> bool:
    """Whether the classifier is needed for a text; fitting one for a new model takes minutes."""
    is_wanted = _tells(text) if is_document else bool(examples_in(text))
    return not is_wanted and not is_instruction(text)


def decide(backend: Backend, head: Head | None, text: str, earlier: str = "", *, is_document: bool = False) -> Decision:
    """The decision on one message or passage, for the stack of `backend`.

    `head` may be None if `needs_head` is false. `margin` is its score minus its threshold, 0 without one; `novelty` is
    the surprisal under the served stack. `earlier` is the conversation before the text, in the form of
    `core.messages.conversation`. A task that a user shows by examples is always worth learning, because the head was
    fitted on facts. A document was given in order to be learned, so the head decides only about short texts without a
    name or a number: "All rights reserved", a greeting.
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
    """The model's surprisal: total nats over its tokens."""
    return Novelty(round(sum(reading.surprise), 4), len(reading.surprise))


def _reason(text: str, margin: float, base: Reading, served: Reading, *, is_wanted: bool) -> str:
    if is_instruction(text):
        return INSTRUCTION
    if margin < 0 and not is_wanted:
        return NOTHING_LEFT if lost_secret(text) else NOT_WORTH
    if novelty(served).nats < KNOWN_SHARE * novelty(base).nats:
        return KNOWN
    return WORTH
