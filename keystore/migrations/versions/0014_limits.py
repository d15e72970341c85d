"""What keys have used of their limits, and planned spikes

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_windows",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_windows_key_id_keys")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_windows")),
    )
    op.create_table(
        "spikes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ends_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("cancelled_at", keystore.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_spikes_key_id_keys")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=op.f("fk_spikes_created_by_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spikes")),
    )
    op.create_index("ix_spikes_key_id", "spikes", ["key_id", "ends_at"])


def downgrade() -> None:
    op.drop_table("spikes")
    op.drop_table("key_windows")
