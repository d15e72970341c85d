"""Overlap, expiry, disabling, last use

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.add_column(sa.Column("expires_at", keystore.db.UtcDateTime(timezone=True)))
        batch.add_column(sa.Column("disabled_at", keystore.db.UtcDateTime(timezone=True)))
    with op.batch_alter_table("secrets") as batch:
        batch.add_column(sa.Column("until", keystore.db.UtcDateTime(timezone=True)))
        batch.create_index(
            "uq_secrets_retiring",
            ["key_id"],
            unique=True,
            sqlite_where=sa.text("state = 'retiring'"),
            postgresql_where=sa.text("state = 'retiring'"),
        )
    op.create_table(
        "secret_uses",
        sa.Column(
            "secret_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("used_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("agent", sa.String(200)),
        sa.ForeignKeyConstraint(
            ["secret_id"], ["secrets.id"], name="fk_secret_uses_secret_id_secrets"
        ),
        sa.PrimaryKeyConstraint("secret_id", name="pk_secret_uses"),
    )
    op.create_table(
        "key_days",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_days_key_id_keys"),
        sa.PrimaryKeyConstraint("key_id", "day", name="pk_key_days"),
    )


def downgrade() -> None:
    op.drop_table("key_days")
    op.drop_table("secret_uses")
    with op.batch_alter_table("secrets") as batch:
        batch.drop_index("uq_secrets_retiring")
        batch.drop_column("until")
    with op.batch_alter_table("keys") as batch:
        batch.drop_column("disabled_at")
        batch.drop_column("expires_at")
