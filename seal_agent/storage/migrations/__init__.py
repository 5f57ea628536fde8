"""Alembic migrations: one file in `versions` for each schema that ever shipped.

To change a table: change `schema`, raise `SCHEMA_VERSION`, write `versions/schema_NNNN.py`, and add a small database of
the old schema (`tests/data/schemas/make.py`, run before the change).
"""
