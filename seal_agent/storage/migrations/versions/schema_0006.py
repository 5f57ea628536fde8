"""Schema 6: checksums of what decides what is served; a namespace that was erased is told from a new one of its name.

Checksums came under schema 5 already, so that some databases of it have them.
"""

from alembic import op

revision, down_revision = "0006", "0005"
STACK = "DELETE FROM seals WHERE kind = 'stack' AND namespace = old.namespace AND name = CAST(old.version AS TEXT)"
ROUTE = "DELETE FROM seals WHERE kind = 'route' AND namespace = old.namespace AND name = old.adapter"
TABLES = (
    """CREATE TABLE IF NOT EXISTS seals (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name))""",
    f"CREATE TRIGGER IF NOT EXISTS stack_deleted AFTER DELETE ON stacks BEGIN {STACK}; END",
    f"CREATE TRIGGER IF NOT EXISTS stack_changed AFTER UPDATE ON stacks BEGIN {STACK}; END",
    f"CREATE TRIGGER IF NOT EXISTS route_deleted AFTER DELETE ON routes BEGIN {ROUTE}; END",
    f"CREATE TRIGGER IF NOT EXISTS route_changed AFTER UPDATE ON routes BEGIN {ROUTE}; END",
    "CREATE TABLE IF NOT EXISTS lives (namespace TEXT PRIMARY KEY, life TEXT NOT NULL)",
)


def upgrade() -> None:
    """From schema 5, with checksums or without."""
    for statement in TABLES:
        op.execute(statement)
