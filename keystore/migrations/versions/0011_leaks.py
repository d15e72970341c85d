"""Secrets found in the open

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With a default for what there is; it stays, as to drop it SQLite would have to make the table
    # anew.
    op.add_column(
        "organizations",
        sa.Column("leak_policy", sa.String(length=32), nullable=False, server_default="notify"),
    )
    op.create_table(
        "leak_reports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column(
            "secret_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reported_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("until", keystore.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_leak_reports_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_leak_reports_key_id_keys")),
        sa.ForeignKeyConstraint(
            ["secret_id"], ["secrets.id"], name=op.f("fk_leak_reports_secret_id_secrets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leak_reports")),
    )
    op.create_index(
        "uq_leak_reports_place", "leak_reports", ["secret_id", "fingerprint"], unique=True
    )
    op.create_index(op.f("ix_leak_reports_organization_id"), "leak_reports", ["organization_id"])
    op.create_index(op.f("ix_leak_reports_key_id"), "leak_reports", ["key_id"])


def downgrade() -> None:
    op.drop_table("leak_reports")
    op.drop_column("organizations", "leak_policy")
