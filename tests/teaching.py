"""Texts to learn, and the steps that learn them: shared by the tests of several rooms."""

from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.learning.learner import Learner
from seal_agent.retention.general_knowledge import general_probes

TOWER = Passage("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
BRIDGE = Passage("Amber Bridge", "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog.")
KNOWLEDGE = {probe.prompt.messages[-1].content: probe.answer for probe in general_probes()}
MANY = tuple(KNOWLEDGE)[:20]


def judged(learner: Learner, passage: Passage) -> Episode:
    episode = learner.begin(passage)
    for verb in (learner.decide, learner.write, learner.train, learner.probe, learner.judge):
        episode = verb(episode)
    return episode


def ask(learner: Learner, episode: Episode) -> list[str]:
    """Its replies to the questions the episode was probed with."""
    assert episode.edit
    return learner.answer([probe.prompt.messages for probe in episode.edit.probes])


def taught(episode: Episode) -> list[set[str]]:
    """What its rows answer to those questions: the sentence, and to some the phrase alone too."""
    assert episode.edit
    rows = episode.edit.rows
    return [{r.answer for r in rows if r.prompt == probe.prompt} for probe in episode.edit.probes]


def gold(episode: Episode) -> list[str]:
    assert episode.edit
    return [probe.answer for probe in episode.edit.probes]


def folders(learner: Learner) -> list[str]:
    return [path.name for path in learner.state.registry.root.iterdir()]
