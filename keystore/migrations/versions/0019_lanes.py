"""A lane before each subscription, and who alone may deliver from an SQLite file

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

MOMENT = keystore.db.UtcDateTime(timezone=True)
READY = "state = 'pending' AND lease_token IS NULL"


def upgrade() -> None:
    op.create_table(
        "lanes",
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("turn_at", MOMENT),
        sa.Column("full_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_lanes_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_lanes")),
    )
    op.create_table(
        "worker_holds",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker_holds")),
    )
    # Whatever waits gets its turn at the moment at which it is due.
    op.execute(
        "INSERT INTO lanes (subscription_id, turn_at)"
        " SELECT id, (SELECT min(due_at) FROM deliveries"
        " WHERE subscription_id = subscriptions.id AND state = 'pending') FROM subscriptions"
    )
    _partial("ix_lanes_turn", "lanes", ["turn_at"], "turn_at IS NOT NULL")
    ready = ["subscription_id", "due_at", "id"]
    _partial("ix_deliveries_first", "deliveries", ready, f"{READY} AND attempts = 0")
    _partial("ix_deliveries_again", "deliveries", ready, f"{READY} AND attempts > 0")
    _partial("ix_deliveries_leased", "deliveries", ["lease_until"], "lease_until IS NOT NULL")
    op.drop_index("ix_deliveries_due", "deliveries")
    op.drop_index("ix_deliveries_waiting", "deliveries")


def downgrade() -> None:
    _partial("ix_deliveries_waiting", "deliveries", ["subscription_id"], "state = 'pending'")
    _partial("ix_deliveries_due", "deliveries", ["due_at", "id"], "state = 'pending'")
    for name in ("ix_deliveries_leased", "ix_deliveries_again", "ix_deliveries_first"):
        op.drop_index(name, "deliveries")
    op.drop_table("worker_holds")
    op.drop_table("lanes")


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
