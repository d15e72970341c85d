"""Requests that are known by a name, so that their repetition is

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "named_requests",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name=op.f("fk_named_requests_key_id_keys")
        ),
        sa.PrimaryKeyConstraint("key_id", "name", name=op.f("pk_named_requests")),
    )
    op.create_index(op.f("ix_named_requests_at"), "named_requests", ["at"])


def downgrade() -> None:
    op.drop_table("named_requests")
