"""Alembic's entry point; configured by keystore.db, there is no ini file."""

from alembic import context
from sqlalchemy.engine import Engine

from keystore.db import Base

engine: Engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
