"""When to tell of keys that come to their end

Keys that have an expiry are watched from now on, other than those that have expired already.

Revision: 0016, after 0015
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

FIRST_NOTICE = timedelta(days=30)


def upgrade() -> None:
    moment = keystore.db.UtcDateTime(timezone=True)
    watches = op.create_table(
        "expiry_watches",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name=op.f("fk_expiry_watches_key_id_keys")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_expiry_watches")),
    )
    op.create_index(op.f("ix_expiry_watches_due_at"), "expiry_watches", ["due_at"])
    keys = sa.table(
        "keys",
        sa.column("id", sa.Uuid()),
        sa.column("expires_at", moment),
        sa.column("deleted_at", moment),
    )
    alive = sa.select(keys.c.id, keys.c.expires_at).where(
        keys.c.expires_at > datetime.now(UTC), keys.c.deleted_at.is_(None)
    )
    rows = [
        {"key_id": key_id, "due_at": expires_at - FIRST_NOTICE}
        for key_id, expires_at in op.get_bind().execute(alive)
    ]
    if rows:
        op.bulk_insert(watches, rows)


def downgrade() -> None:
    op.drop_table("expiry_watches")
