"""When somebody last tried a subscription out

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("tried_at", keystore.db.UtcDateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("subscriptions", "tried_at")
