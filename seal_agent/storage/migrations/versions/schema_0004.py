"""Schema 4: the queue, feedback, policies and documents came one after the other under this number.

A database of schema 4 may have none of them or all, so `0005` makes those that are missing.
"""

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Nothing: see above."""
