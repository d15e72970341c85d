"""What a subscription may choose, and how it fares; bodies without some of their parts

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MOMENT = keystore.db.UtcDateTime(timezone=True)


def upgrade() -> None:
    # In place: these tables are large.
    for column in (
        sa.Column("without", sa.String(120), nullable=False, server_default=""),
        sa.Column("headers_sealed", sa.LargeBinary()),
        sa.Column("rate", sa.Integer()),
        sa.Column("former_secret_sealed", sa.LargeBinary()),
        sa.Column("former_until", MOMENT),
        sa.Column("failing_since", MOMENT),
        sa.Column("warned_at", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("disabled_at", MOMENT),
        sa.Column("disabled_reason", sa.String(32)),
    ):
        op.add_column("subscriptions", column)
    op.add_column(
        "deliveries", sa.Column("without", sa.String(120), nullable=False, server_default="")
    )
    op.create_table(
        "event_variants",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("without", sa.String(120), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_event_variants_event_id_events")
        ),
        sa.PrimaryKeyConstraint("event_id", "without", name=op.f("pk_event_variants")),
    )


def downgrade() -> None:
    op.drop_table("event_variants")
    op.drop_column("deliveries", "without")
    with op.batch_alter_table("subscriptions") as batch:
        for name in (
            "disabled_reason",
            "disabled_at",
            "warned_at",
            "failing_since",
            "former_until",
            "former_secret_sealed",
            "rate",
            "headers_sealed",
            "without",
        ):
            batch.drop_column(name)
