"""Finding old events, to drop them

Revision: 0024, after 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_events_age", "events", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_events_age", "events")
