"""How often a key may call

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organizations", sa.Column("rate_limit", sa.Integer()))
    op.add_column("keys", sa.Column("rate_limit", sa.Integer()))
    op.add_column("keys", sa.Column("spikes_until", keystore.db.UtcDateTime(timezone=True)))


def downgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.drop_column("spikes_until")
        batch.drop_column("rate_limit")
    with op.batch_alter_table("organizations") as batch:
        batch.drop_column("rate_limit")
