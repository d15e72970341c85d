"""Meetings that were booked on a scheduling page

Revision: 0025, after 0024
"""

import sqlalchemy as sa
from alembic import op

import keystore.db

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

MOMENT = keystore.db.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "bookings",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("meeting_uuid", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.String(1000), nullable=False),
        sa.Column("purpose", sa.String(200)),
        sa.Column("event_start_time", MOMENT, nullable=False),
        sa.Column("event_end_time", MOMENT, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("conference_link", sa.String(2048)),
        sa.Column("scheduling_page_link", sa.String(2048)),
        sa.Column("organizer_email", sa.String(254), nullable=False),
        sa.Column("organizer_timezone", sa.String(300)),
        sa.Column("booker_email", sa.String(254)),
        sa.Column("cancel_reason", sa.String(1000)),
        sa.Column("invitee_details", sa.JSON(), nullable=False),
        sa.Column("invitee_responses", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_bookings_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "uuid", name=op.f("pk_bookings")),
    )
    op.create_index("ix_bookings_meeting", "bookings", ["organization_id", "meeting_uuid"])


def downgrade() -> None:
    op.drop_index("ix_bookings_meeting", "bookings")
    op.drop_table("bookings")
