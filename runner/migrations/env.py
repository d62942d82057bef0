"""How Alembic reaches the database: by the connection that `runner.store` gives it."""

from alembic import context

from runner.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
