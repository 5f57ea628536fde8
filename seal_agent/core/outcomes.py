"""What became of one passage, as graphs, gateway and command line report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from seal_agent.core.codec import UNLESS_EMPTY, to_json
from seal_agent.core.episodes import Episode


@dataclass(frozen=True)
class Outcome:
    """The report of one passage.

    `outcome` is the episode's, or "known", "queued" or "held" where no episode was begun. `adapter` is the id of the
    adapter that is served for it, "" without one; `seconds` were spent on it. `job`: the job of the queue that learns
    it. `rows`: what a dry run would have learned.
    """

    topic: str
    outcome: str
    reason: str
    adapter: str = ""
    seconds: float = 0.0
    job: Annotated[int | None, UNLESS_EMPTY] = None
    rows: Annotated[tuple[Mapping[str, str], ...], UNLESS_EMPTY] = ()

    def to_json(self) -> dict[str, Any]:
        """The report as JSON; without `job` and `rows` where there are none."""
        data: dict[str, Any] = to_json(self)
        return data


def outcome_of(episode: Episode, rows: tuple[Mapping[str, str], ...] = ()) -> Outcome:
    """The report of an episode that has ended."""
    adapter = episode.adapter.id if episode.adapter and episode.outcome == "accepted" else ""
    seconds = round(sum(episode.seconds.values()), 2)
    return Outcome(episode.topic, episode.outcome, episode.reason, adapter, seconds, rows=rows)
