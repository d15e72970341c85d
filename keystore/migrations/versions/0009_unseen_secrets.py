"""Secrets that nobody has seen

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whatever there is was shown when it was made. The default stays: to drop it, SQLite would have
    # to make the table anew, and others point to it.
    op.add_column(
        "secrets", sa.Column("seen", sa.Boolean(), nullable=False, server_default=sa.true())
    )


def downgrade() -> None:
    op.drop_column("secrets", "seen")
