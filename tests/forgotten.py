"""A learned text, and the places that still contain it: shared by the tests of the room `unlearning`."""

from pathlib import Path

from teaching import judged

from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.learning.learner import Learner

FERRY = Passage("Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep.")
SECRETS = (b"Karlov", b"karlov", b"Anna Reel")


def learned(learner: Learner, *passages: Passage) -> list[Episode]:
    return [learner.accept(judged(learner, passage)) for passage in passages]


def adapter(episode: Episode) -> str:
    assert episode.adapter
    return episode.adapter.id


def places(root: Path) -> list[str]:
    """The files below `root` that hold any word of TOWER."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return [str(path.relative_to(root)) for path in files if any(s in path.read_bytes() for s in SECRETS)]
