"""A model that forgets whatever it knew."""

from teaching import KNOWLEDGE, MANY

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.storage.database import Home

STACK = LearnerConfig(strategy="stack")


def forgetful(home: Home, config: LearnerConfig = STACK) -> Learner:
    """A model that forgets general knowledge with whatever it learns."""
    return Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE, forgets=MANY), home, config=config)
