"""A text, one that corrects it, and a model that reads: shared by the tests of several rooms."""

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.stacks import AdapterStack
from seal_agent.learning.learner import Learner

OLD = Passage("Lund meeting", "The Lund meeting takes place on Thursday in Galloway Street.")
NEW = "The Lund meeting takes place on Friday in Galloway Street."
QUESTION = "The Lund meeting takes place on what?"


class Reader(ScriptedBackend):
    """A literal mind that reads the day off a text, where it is asked for one."""

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return super().with_stack(stack) if len(stack) else self

    def generate(self, prompts, **options):  # type: ignore[no-untyped-def]
        if options.get("grammars"):
            asked = [prompt.text.rsplit("Question:", 1) for prompt in prompts]
            return [[" Friday\n" if "Friday" in shown and "day" not in asks else ""] for shown, asks in asked]
        return super().generate(prompts, **options)


def learn(learner: Learner, passage: Passage) -> Episode:
    episode = learner.begin(passage)
    for verb in (learner.write, learner.train, learner.probe, learner.judge, learner.accept):
        episode = verb(episode)
    return episode
