"""A queue with two texts, and the results of its jobs: shared by the tests of the room `background`."""

from seal_agent.background.worker import Budget
from seal_agent.core.documents import Passage
from seal_agent.storage.jobs import LearningQueue

TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("The Bridge of Osk", "The Bridge of Osk was opened in 1954 by Tom Varga. It has four iron arches.")
AT_ONCE = Budget(quiet_seconds=0)


def outcomes(queue: LearningQueue) -> list[tuple[str, str]]:
    return [(job.state, job.outcome) for job in queue.jobs()]
