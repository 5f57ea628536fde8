"""What alembic runs on a database of an older schema: one file in `versions` for each schema that ever shipped.

To change a table: change it in `schema`, raise `SCHEMA_VERSION`, write `versions/schema_NNNN.py`, and keep a small
database of the schema before (`tests/data/schemas/make.py`, run before the change).
"""
