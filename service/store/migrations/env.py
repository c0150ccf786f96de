"""Run by Alembic: the revisions, on the connection and in the transaction that Database.upgrade hands in."""

from alembic import context

from service.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
context.run_migrations()
