"""Access tokens (OAuth 2.0)

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "secret_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("public_part", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=120), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", keystore.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["secret_id"], ["secrets.id"], name=op.f("fk_access_tokens_secret_id_secrets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("public_part", name=op.f("uq_access_tokens_public_part")),
    )
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_access_tokens_expires_at"), ["expires_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_access_tokens_secret_id"), ["secret_id"], unique=False)


def downgrade() -> None:
    op.drop_table("access_tokens")
