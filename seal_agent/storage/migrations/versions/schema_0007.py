"""Schema 7: a job names the version of its document, and what of an older one is to be unlearned."""

from alembic import op

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    """From schema 6."""
    op.execute("ALTER TABLE jobs ADD COLUMN document TEXT NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE jobs ADD COLUMN keep TEXT")
