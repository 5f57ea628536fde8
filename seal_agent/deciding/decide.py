"""Whether to learn a text: the classifier, the kind the model gives it, and rules for instructions and known texts.

Three steps, in this order: a text that gives the model orders is never learned; the classifier on the base model's
states (`classifier`) and, from a model that can judge it, the model's own word (`judgements`) say together whether a
message is worth learning; a text that surprises the base model but hardly the served stack has been learned already.
"""

from __future__ import annotations

from seal_agent.core.backend import Backend, Reading
from seal_agent.core.episodes import Decision, Novelty
from seal_agent.core.redaction import NOTHING_LEFT, lost_secret
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding.classifier import Head, features_of, read
from seal_agent.deciding.kinds import FORGET
from seal_agent.deciding.requests import REASONS
from seal_agent.language.base import for_text, is_instruction
from seal_agent.language.few_shot import examples_in
from seal_agent.language.values import UserRequest
from seal_agent.language.words import has_name_or_number

WORTH, NOT_WORTH = "worth learning", "nothing lasting or new"
JUDGED, MAX_JUDGED, LEAST = 0.5, 2.0, 0.05  # weight of the model's own word, its limit (nats), and the least sum
LEAST_ALONE = 1.1  # nats of the model's own word while the classifier is fitted
INSTRUCTION = "an instruction to the model, not knowledge"
KNOWN = "learned already"
MIN_WORDS = 10  # content words in a text of a document without a name or a number
KNOWN_SHARE = 0.4  # a text counts as known below this share of the base model's surprisal


def needs_head(text: str, *, is_document: bool = False) -> bool:
    """Whether the classifier is needed for a text; fitting one for a new model takes minutes."""
    is_wanted = _tells(text) if is_document else bool(examples_in(text))
    return not is_wanted and not is_instruction(text)


def decide(
    backend: Backend,
    head: Head | None,
    text: str,
    earlier: str = "",
    *,
    is_document: bool = False,
    kind: str = "",
    judged: float | None = None,
    is_wished: bool = False,
) -> Decision:
    """The decision on one message or passage, for the stack of `backend`.

    `head` may be None if `needs_head` is false, or while it is fitted. `kind` is what the model calls a message, "" for
    a model that cannot tell. `judged`: nats by which the model finds a message worth a note, None for a model that
    cannot judge it. `is_wished`: the user asks to remember it. `margin` of the decision is the evidence minus what is
    needed; `novelty` is the surprisal under the served stack. `earlier` is the conversation before the text, in the
    form of `core.messages.conversation`. A task that a user shows by examples is always worth learning, because the
    head was fitted on facts, and so is what the user asks to remember. A document was given in order to be learned, so
    the head decides only about short texts without a name or a number: "All rights reserved", a greeting.
    """
    base = read(backend.with_stack(AdapterStack()), [text], [earlier])[0]
    served = read(backend, [text], [earlier])[0] if backend.stack.entries else base
    of_head = float(head.scores(features_of([base]))[0]) - head.threshold if head else None
    is_wanted = _tells(text) if is_document else bool(examples_in(text))
    margin = (of_head or 0.0) if is_document or is_wanted else _evidence(of_head, judged)
    if kind == FORGET and not is_document:
        return Decision(False, NOT_WORTH, round(margin, 4), novelty(served))
    reason = _reason(text, margin, base, served, is_wanted=is_wanted or is_wished)
    return Decision(reason == WORTH, reason, round(margin, 4), novelty(served))


def not_learned(request: UserRequest) -> Decision:
    """The decision on a request about what is remembered; no model reads it."""
    return Decision(False, REASONS[request], 0.0, Novelty(0.0, 0))


def _evidence(of_head: float | None, judged: float | None) -> float:
    """What the classifier and the model's own word say for a message, minus what is needed; 0 without either."""
    if judged is None:
        return of_head or 0.0
    limited = max(-MAX_JUDGED, min(judged, MAX_JUDGED))
    return limited - LEAST_ALONE if of_head is None else of_head + JUDGED * limited - LEAST


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
