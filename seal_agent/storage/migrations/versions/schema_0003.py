"""Schema 3: replay items have a split, a source and an embedder; scores over time; what routes to an adapter."""

from alembic import op

revision, down_revision = "0003", "0002"
COLUMNS = (
    "split TEXT NOT NULL DEFAULT 'gate'",
    "source TEXT NOT NULL DEFAULT ''",
    "embedder TEXT NOT NULL DEFAULT ''",
)
SPLITS = (
    """UPDATE replay SET split = CASE
    WHEN stratum = 'general' AND position % 5 = 0 THEN 'report' WHEN stratum = 'general' THEN 'gate'
    WHEN position % 5 = 3 THEN 'repair' WHEN position % 5 = 0 THEN 'report' ELSE 'gate' END
    FROM (SELECT id AS placed, ROW_NUMBER() OVER (PARTITION BY namespace, model, adapter, stratum,
          CASE stratum WHEN 'general' THEN '' ELSE document END ORDER BY id) AS position FROM replay)
    WHERE placed = id""",
    """UPDATE replay SET split = (SELECT oldest.split FROM replay AS oldest
    WHERE oldest.namespace = replay.namespace AND oldest.model = replay.model
    AND oldest.question = replay.question AND oldest.answer = replay.answer ORDER BY oldest.id LIMIT 1)
    WHERE stratum <> 'general'""",
)
"""The splits that the items would have got, had they been inserted since."""
TABLES = (
    "CREATE INDEX replay_by_split ON replay (namespace, model, split)",
    "CREATE INDEX replay_by_document ON replay (namespace, model, document)",
    "CREATE INDEX replay_by_embedder ON replay (namespace, model, embedder)",
    "CREATE INDEX replay_fragile ON replay (namespace, model, split, worst_change) WHERE worst_change < 0",
    "CREATE INDEX replay_general ON replay (namespace, model, split) WHERE stratum = 'general'",
    """CREATE TABLE scores (
    item INTEGER NOT NULL, adapter TEXT NOT NULL, per_token REAL NOT NULL, created REAL NOT NULL)""",
    "CREATE INDEX scores_by_item ON scores (item)",
    """CREATE TABLE routes (
    namespace TEXT NOT NULL, adapter TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (namespace, adapter))""",
)


def upgrade() -> None:
    """From schema 2."""
    for column in COLUMNS:
        op.execute(f"ALTER TABLE replay ADD COLUMN {column}")
    for statement in (*SPLITS, *TABLES):
        op.execute(statement)
