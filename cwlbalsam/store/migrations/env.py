"""What alembic runs: always on the connection that `cwlbalsam.store.migrate` hands over."""

from alembic import context

from cwlbalsam.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
