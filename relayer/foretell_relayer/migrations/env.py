"""Alembic's environment: migrations run on the connection that ``foretell_relayer.store`` hands over."""

from alembic import context

from foretell_relayer.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
