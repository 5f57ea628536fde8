"""The result of one passage, as graphs, gateway and command line report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from seal_agent.core.codec import UNLESS_EMPTY, to_json
from seal_agent.core.episodes import Episode


@dataclass(frozen=True)
class Outcome:
    """The report of one passage.

    `outcome` is that of the episode, or "known", "queued" or "held" if no episode was begun. `adapter` is the id of the
    accepted adapter, else "". `seconds`: time of all steps together. `job`: the queue's job that learns the passage.
    `rows`: what a dry run would have trained on. `corrected`: the questions whose learned answer an accepted passage
    changed, each with its "old" and "new" answer. `text`: what was learned or taken back.
    """

    topic: str
    outcome: str
    reason: str
    adapter: str = ""
    seconds: float = 0.0
    job: Annotated[int | None, UNLESS_EMPTY] = None
    rows: Annotated[tuple[Mapping[str, str], ...], UNLESS_EMPTY] = ()
    corrected: Annotated[tuple[Mapping[str, str], ...], UNLESS_EMPTY] = ()
    text: Annotated[str, UNLESS_EMPTY] = ""

    def to_json(self) -> dict[str, Any]:
        """The report as JSON, without `job`, `rows`, `corrected` and `text` if they are empty."""
        data: dict[str, Any] = to_json(self)
        return data


def outcome_of(episode: Episode, rows: tuple[Mapping[str, str], ...] = ()) -> Outcome:
    """The report of an episode that has ended."""
    adapter = episode.adapter.id if episode.adapter and episode.outcome == "accepted" else ""
    seconds = round(sum(episode.seconds.values()), 2)
    corrected = tuple({"question": c.question, "old": c.old, "new": c.new} for c in episode.corrections if adapter)
    text = episode.text if adapter else ""
    return Outcome(
        episode.topic, episode.outcome, episode.reason, adapter, seconds, rows=rows, corrected=corrected, text=text
    )
