"""What a message does to the facts told before it that are near to it: it repeats one, or changes some.

A changed fact is no longer served by itself. It stays beside the message that changes it, because a correction like
"No, 2 pm." leaves the rest of what was said as it was.
"""

from __future__ import annotations

from seal_agent.core.episodes import Episode
from seal_agent.core.facts import Fact, last_said
from seal_agent.deciding.judgements import CHANGES, REPEATS
from seal_agent.deciding.kinds import CORRECTION
from seal_agent.learning.namespace import Namespace

MAX_COMPARED = 3  # facts; each costs a second or two with a model of 1.5B parameters on two cores
MIN_EVIDENCE = 2.0  # nats of words that the message shares with a fact
MIN_CHANGE = 1.3  # nats between "yes" and "no", on the development weeks: 5 of 16 changed facts, 0 of 34 others
MIN_OF_CORRECTION = 0.0  # nats between "yes" and "no" for the likeliest fact, if the message is named a correction
MIN_REPEAT = 1.3  # nats between "yes" and "no": 11 of 16 repeats in other words, 0 of 92 others


def repeats(state: Namespace, episode: Episode) -> bool:
    """Whether a served fact says everything that the message of `episode` says, in the same or in other words."""
    near = _near(state, episode, REPEATS)
    found = state.classifier.margins(REPEATS, [(fact.text, episode.text) for fact in near])
    return any(margin >= MIN_REPEAT for margin in found)


def changed_by(state: Namespace, episode: Episode) -> tuple[str, ...]:
    """The served adapters whose facts the message of `episode` changes, oldest first."""
    near = _near(state, episode, CHANGES)
    margins = state.classifier.margins(CHANGES, [(fact.text, episode.text) for fact in near])
    found = {fact.adapter: margin for fact, margin in zip(near, margins, strict=True)}
    best = max(found, key=lambda adapter: found[adapter], default="")
    is_correction = bool(found) and state.classifier.kind_of(episode.text, episode.earlier) == CORRECTION
    changed = {
        adapter
        for adapter, margin in found.items()
        if margin >= MIN_CHANGE or (adapter == best and is_correction and margin >= MIN_OF_CORRECTION)
    }
    return tuple(adapter for adapter in episode.parent.ids if adapter in changed)


def _near(state: Namespace, episode: Episode, judgement: str) -> list[Fact]:
    """The facts that share words with the message or with what it answers, nearest first.

    None for a model that cannot judge, and for a passage of a document: a new version of a document replaces the old
    one as a whole.
    """
    served = {entry.ref.id for entry in episode.parent.entries if entry.is_routed}
    if episode.source or not served or not state.classifier.judges(judgement):
        return []
    told = {fact.adapter: fact for fact in state.home.facts(state.name, served) if not fact.source}
    said = f"{last_said(episode.earlier)} {episode.text}".strip()
    near = state.router_over(set(told)).scores(said) if told else []
    return [told[adapter] for adapter, evidence in near[:MAX_COMPARED] if evidence >= MIN_EVIDENCE]
