"""Schema 5: every home has the queue, feedback, policies, documents and files that wait for their removal."""

from alembic import op

revision, down_revision = "0005", "0004"
TABLES = (
    """CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, thread TEXT NOT NULL, passage TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', step TEXT NOT NULL DEFAULT 'decide', episode TEXT,
    outcome TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', is_cancelled INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0, created REAL NOT NULL, ended REAL NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, id)",
    """CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
    value REAL NOT NULL, created REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS policies (
    namespace TEXT NOT NULL, model TEXT NOT NULL, domain TEXT NOT NULL, version INTEGER NOT NULL,
    adapter TEXT NOT NULL, parent INTEGER NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (namespace, model, domain, version))""",
    """CREATE TABLE IF NOT EXISTS policy_uses (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, model TEXT NOT NULL, domain TEXT NOT NULL,
    version INTEGER NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS passages (
    namespace TEXT NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL, outcome TEXT NOT NULL,
    adapter TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (namespace, source, digest))""",
    "CREATE INDEX IF NOT EXISTS passages_by_digest ON passages (namespace, digest)",
    "CREATE TABLE IF NOT EXISTS doomed (path TEXT PRIMARY KEY)",
)


def upgrade() -> None:
    """From schema 4, whatever it had."""
    for statement in TABLES:
        op.execute(statement)
