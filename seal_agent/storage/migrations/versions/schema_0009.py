"""Schema 9: a candidate that is not served was "rejected", where earlier releases wrote "rolled back".

What takes back an accepted adapter is a rollback; the two had one name. A rejected job is told from one without a
usable edit by the step it ended in.
"""

import json

from alembic import op
from sqlalchemy import text

revision, down_revision = "0009", "0008"
OLD, NEW = "rolled back", "rejected"


def upgrade() -> None:
    """From schema 8."""
    db = op.get_bind()
    names = {"old": OLD, "new": NEW}
    db.execute(text("UPDATE jobs SET outcome = :new, step = 'reject' WHERE outcome = :old"), names)
    db.execute(text("UPDATE passages SET outcome = :new WHERE outcome = :old"), names)
    for number, body in db.execute(text("SELECT id, body FROM episodes WHERE outcome = :old"), names).all():
        line = {"new": NEW, "body": json.dumps({**json.loads(body), "outcome": NEW}), "id": number}
        db.execute(text("UPDATE episodes SET outcome = :new, body = :body WHERE id = :id"), line)
