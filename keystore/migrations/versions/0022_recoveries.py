"""Sending again what was missed: jobs, and the indexes to find deliveries by

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MOMENT = keystore.db.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("cursor_at", MOMENT, nullable=False),
        sa.Column("cursor_id", sa.Uuid()),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("stepped_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_recoveries_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_recoveries_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recoveries")),
    )
    # One at a time for each subscription.
    running = sa.text("state = 'running'")
    op.create_index(
        "uq_recoveries_running",
        "recoveries",
        ["subscription_id"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_index("ix_deliveries_event", "deliveries", ["event_id"])
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_deliveries_subscription", "deliveries")
    op.drop_index("ix_deliveries_event", "deliveries")
    op.drop_table("recoveries")
