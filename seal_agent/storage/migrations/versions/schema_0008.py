"""Schema 8: tables have the names that the code has; scores have an id.

How often a job was begun and the other names of a document came under schema 7, so that a database of it may lack
those tables.
"""

from alembic import op

revision, down_revision = "0008", "0007"
RENAMED = (("seals", "checksums"), ("doomed", "pending_deletions"), ("lives", "namespace_generations"))
CHECKSUM = "DELETE FROM checksums WHERE namespace = old.namespace AND"
STACK = f"{CHECKSUM} kind = 'stack' AND name = CAST(old.version AS TEXT)"
ROUTE = f"{CHECKSUM} kind = 'route' AND name = old.adapter"
TRIGGERS = {
    "stack_deleted": f"AFTER DELETE ON stacks BEGIN {STACK}; END",
    "stack_changed": f"AFTER UPDATE ON stacks BEGIN {STACK}; END",
    "route_deleted": f"AFTER DELETE ON routes BEGIN {ROUTE}; END",
    "route_changed": f"AFTER UPDATE ON routes BEGIN {ROUTE}; END",
    "job_deleted": "AFTER DELETE ON jobs BEGIN DELETE FROM beginnings WHERE job = old.id; END",
}
MISSING = (
    "CREATE TABLE IF NOT EXISTS beginnings (job INTEGER PRIMARY KEY, step TEXT NOT NULL, num INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS document_names (
    namespace TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (namespace, name))""",
)
SCORES = (
    "ALTER TABLE scores RENAME TO old_scores",
    "DROP INDEX scores_by_item",
    """CREATE TABLE scores (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL, adapter TEXT NOT NULL, per_token REAL NOT NULL,
    created REAL NOT NULL)""",
    """INSERT INTO scores (item, adapter, per_token, created)
    SELECT item, adapter, per_token, created FROM old_scores ORDER BY rowid""",
    "DROP TABLE old_scores",
    "CREATE INDEX scores_by_item ON scores (item)",
)


def upgrade() -> None:
    """From schema 7."""
    for trigger in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for old, new in RENAMED:
        op.rename_table(old, new)
    op.execute("ALTER TABLE namespace_generations RENAME COLUMN life TO generation")
    for statement in (*MISSING, *SCORES):
        op.execute(statement)
    for trigger, body in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {trigger} {body}")
