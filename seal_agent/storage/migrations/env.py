"""Alembic's entry point: runs the migrations on the connection and in the transaction of `schema`."""

from alembic import context

from seal_agent.storage.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
