"""Which of the facts told before a message changes: those near to it that the model finds wrong or out of date now.

A changed fact is no longer served by itself. It stays beside the message that changes it, because a correction like
"No, 2 pm." leaves the rest of what was said as it was.
"""

from __future__ import annotations

from seal_agent.core.episodes import Episode
from seal_agent.core.facts import last_said
from seal_agent.deciding.changes import MIN_MARGIN
from seal_agent.deciding.kinds import CORRECTION
from seal_agent.learning.namespace import Namespace

MAX_COMPARED = 3  # facts; each costs a second or two with a model of 1.5B parameters on two cores
MIN_EVIDENCE = 2.0  # nats of words that the message shares with a fact
MIN_OF_CORRECTION = 0.0  # nats between "yes" and "no" for the likeliest fact, if the message is named a correction


def changed_by(state: Namespace, episode: Episode) -> tuple[str, ...]:
    """The served adapters whose facts the message of `episode` changes, oldest first.

    Passages of documents change nothing here: a new version of a document replaces the old one as a whole.
    """
    served = {entry.ref.id for entry in episode.parent.entries if entry.is_routed}
    if episode.source or not served or not state.classifier.compares:
        return ()
    told = {fact.adapter: fact for fact in state.home.facts(state.name, served) if not fact.source}
    compared = _near(state, episode, set(told))
    margins = state.classifier.changes([(told[adapter].text, episode.text) for adapter in compared])
    found = dict(zip(compared, margins, strict=True))
    best = max(found, key=lambda adapter: found[adapter], default="")
    is_correction = state.classifier.kind_of(episode.text, episode.earlier) == CORRECTION
    changed = {
        adapter
        for adapter, margin in found.items()
        if margin >= MIN_MARGIN or (adapter == best and is_correction and margin >= MIN_OF_CORRECTION)
    }
    return tuple(adapter for adapter in episode.parent.ids if adapter in changed)


def _near(state: Namespace, episode: Episode, told: set[str]) -> list[str]:
    """The facts that share words with the message or with what it answers, nearest first."""
    said = f"{last_said(episode.earlier)} {episode.text}".strip()
    near = state.router_over(told).scores(said) if told else []
    return [adapter for adapter, evidence in near[:MAX_COMPARED] if evidence >= MIN_EVIDENCE]
