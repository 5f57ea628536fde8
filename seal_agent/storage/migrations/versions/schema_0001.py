"""Schema 1: stacks, episodes and replay items."""

from alembic import op

revision, down_revision = "0001", None
TABLES = (
    """CREATE TABLE stacks (
    namespace TEXT NOT NULL, version INTEGER NOT NULL, layers TEXT NOT NULL, reason TEXT NOT NULL,
    created REAL NOT NULL, PRIMARY KEY (namespace, version))""",
    """CREATE TABLE episodes (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, outcome TEXT NOT NULL, adapter TEXT NOT NULL,
    body TEXT NOT NULL, created REAL NOT NULL)""",
    """CREATE TABLE replay (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL, stratum TEXT NOT NULL, document TEXT NOT NULL, adapter TEXT NOT NULL,
    best REAL, worst_change REAL NOT NULL DEFAULT 0, vector BLOB NOT NULL,
    UNIQUE (namespace, model, question, answer, adapter))""",
    "CREATE INDEX replay_by_namespace ON replay (namespace, model)",
)


def upgrade() -> None:
    """The first tables."""
    for statement in TABLES:
        op.execute(statement)
