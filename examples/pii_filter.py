"""A user's own rule before learning: rows with personal data, and questions about it, are dropped.

    python examples/pii_filter.py

It uses plain regular expressions, so that it runs anywhere; put a detector that you trust (such as Microsoft Presidio)
into `has_personal_data`. The ledger stores the text as the rule returns it, so the text is redacted too.
"""

import re
import tempfile
from dataclasses import replace

from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import Refused
from seal_agent.factory import open_learner
from seal_agent.learning import loop
from seal_agent.learning.learner import LearnerConfig

PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.]+"  # mail
    r"|\+?\d[\d ()/-]{7,}\d"  # telephone, card, account
    r"|\b\d{3}-\d{2}-\d{4}\b"  # social security, US
)
FORBIDDEN = re.compile(r"\bdiagnos(?:is|ed)\b", re.IGNORECASE)


def has_personal_data(text: str) -> bool:
    return bool(PERSONAL.search(text))


def without_personal_data(episode: Episode) -> Episode:
    if FORBIDDEN.search(episode.text):
        raise Refused("medical facts are not learned here")
    if episode.edit is None:
        return episode
    rows = tuple(r for r in episode.edit.rows if not has_personal_data(f"{r.question} {r.answer} {r.evidence}"))
    probes = tuple(p for p in episode.edit.probes if not has_personal_data(f"{p.prompt} {p.answer}"))
    black = PERSONAL.sub("[removed]", episode.text)
    edit = replace(episode.edit, rows=rows, probes=probes, passage=black, dropped=())
    return replace(episode, text=black, earlier=PERSONAL.sub("[removed]", episode.earlier), edit=edit)


TEXTS = [
    "The Tower of Karlov was built in 1911 by Anna Reel. You reach its keeper at keeper@karlov.example.",
    "In 2019 Anna Reel was diagnosed with a rare fever in Karlov.",
]

if __name__ == "__main__":
    config = LearnerConfig(before_learn=without_personal_data)
    learner = open_learner("scripted", home=tempfile.mkdtemp(), config=config)
    for text in TEXTS:
        done = loop.run(learner, learner.begin(Passage("", text)))
        print(done.outcome, done.fault or [row.answer for row in done.edit.rows] if done.edit else done.fault)
