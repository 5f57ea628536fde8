"""The database of a home, opened with SQLite itself: for what no code of ours would do to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from seal_agent.storage.database import Home


@contextmanager
def sql(home: Home) -> Iterator[sqlite3.Connection]:
    """A connection that commits when the block succeeds."""
    with closing(sqlite3.connect(home.database)) as db, db:
        yield db
