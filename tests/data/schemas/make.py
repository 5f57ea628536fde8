"""Make a small database of the schema of the code that runs this: `python make.py v9.sqlite`.

The other files here were made likewise by the code of their time; `tests/storage/test_schema.py` opens all of them.
"""

import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.documents import Passage
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner
from seal_agent.storage import feedback
from seal_agent.storage.database import Home
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.policies import PolicyStore

PASSAGES = [
    Passage("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel.", source="towers.md"),
    Passage("Amber Bridge", "The Amber Bridge was designed by Carla Mendes.", source="towers.md"),
    Passage("Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel."),
    Passage("Lake Orin", "Lake Orin was dammed in 1954 by Otto Brandt."),
]
QUEUED = [Passage(name, f"The {name} of Mar was measured in 1980.") for name in ("Hill", "Moor", "Fen")]


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        learner = Learner(ScriptedBackend(home.root), home)
        for passage in PASSAGES:
            loop.run(learner, learner.begin(passage, thread="t1"))
        learner.close(learner.begin(Passage("", "Hello there.")))
        queue = LearningQueue(home)
        _, second, third = queue.submit(QUEUED, thread="t2")
        queue.cancel(second)
        queue.begin(queue.job(third))
        queue.end(queue.job(third), "done", "ignored", "nothing new", 1.5)
        policies = PolicyStore(home, "default", learner.backend.model)
        policies.use(policies.add(learner.stack.entries[0].ref, parent=0, reason="better on three texts").version)
        feedback.record(home, "default", feedback.Feedback("When was the Tower of Karlov built?", "1911"))
        with closing(sqlite3.connect(home.database)) as db, db:
            db.execute("DELETE FROM replay WHERE stratum = 'general' AND id % 12 <> 0")  # a few are enough
            db.execute("INSERT INTO document_names VALUES ('default', 'file:///home/ada/towers.md', 'towers.md')")
            db.execute("DELETE FROM scores WHERE item NOT IN (SELECT id FROM replay)")
        with closing(sqlite3.connect(home.database, isolation_level=None)) as db:
            for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
                db.execute(statement)
        shutil.copy(home.database, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
