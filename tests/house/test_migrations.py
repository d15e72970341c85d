"""The migrations make exactly the tables that the models describe, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from connector import app, demo_mails
from keystore.db import Base, Database


def test_models_equal_migrations(database: Database) -> None:
    assert app.__name__ == "connector.app", "it brings every floor's models"
    assert demo_mails.__name__ == "connector.demo_mails", "and this one the demo's"
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)

    assert differences == []
    assert {"keys", "deliveries", "meetings"} <= set(Base.metadata.tables)
