"""The queue of a home."""

import pytest

from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue


@pytest.fixture
def queue(home: Home) -> LearningQueue:
    return LearningQueue(home)
