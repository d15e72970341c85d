"""When it was told that a key is near its rate limit

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota_notices",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("told_at", keystore.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_quota_notices_key_id_keys")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_quota_notices")),
    )


def downgrade() -> None:
    op.drop_table("quota_notices")
