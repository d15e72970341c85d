"""Mails that a demo shows instead of sending them

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "demo_mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("to", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_demo_mails")),
    )


def downgrade() -> None:
    op.drop_table("demo_mails")
