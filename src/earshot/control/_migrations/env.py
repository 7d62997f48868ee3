"""Runs the steps on the connection it is handed; whoever hands it over holds the transaction."""

from alembic import context

from earshot.control._schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
