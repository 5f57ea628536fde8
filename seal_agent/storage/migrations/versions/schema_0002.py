"""Schema 2: corrected items are marked; a self-edit says what was dropped and why, and computes its steps."""

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """From schema 1."""
    op.execute(
        "UPDATE episodes SET body = json_remove(body, '$.edit.num_dropped', '$.edit.directives.num_steps')"
        " WHERE json_type(body, '$.edit') = 'object'"
    )
    op.execute("CREATE TABLE superseded (item INTEGER NOT NULL, adapter TEXT NOT NULL, PRIMARY KEY (item, adapter))")
