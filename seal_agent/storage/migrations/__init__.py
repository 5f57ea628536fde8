"""What alembic runs on a database of an older schema: one file in `versions` for each schema that ever shipped."""
