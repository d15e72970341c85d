"""Who may see an event, and why a delivery was dropped

Revision: 0015, after 0014
"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ALL = "meetings:read notes:read transcripts:read webhooks:manage"
ENDED = "meetings:read webhooks:manage"
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "audiences",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("organization_id", sa.Uuid(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
    )
    op.create_index(
        "uq_audiences_subject", "audiences", ["organization_id", "subject"], unique=True
    )
    op.create_table(
        "audience_people",
        sa.Column("audience_id", SERIAL, sa.ForeignKey("audiences.id"), primary_key=True),
        sa.Column("person", sa.Text(), primary_key=True),
    )
    # In place: these tables are large, and the default is what asks for most.
    op.add_column("events", sa.Column("needs", sa.Text(), nullable=False, server_default=ALL))
    op.add_column(
        "events",
        sa.Column("audience_id", SERIAL, sa.ForeignKey("audiences.id")),
        inline_references=True,
    )
    op.add_column("deliveries", sa.Column("dropped_because", sa.String(32)))
    op.execute(
        "UPDATE deliveries SET dropped_because = 'subscription ended' WHERE state = 'dropped'"
    )
    events = sa.table("events", sa.column("type"), sa.column("needs"))
    op.execute(events.update().where(events.c.type == "meeting.ended").values(needs=ENDED))
    _find_audiences()


def downgrade() -> None:
    op.drop_column("deliveries", "dropped_because")
    with op.batch_alter_table("events") as batch:
        batch.drop_column("audience_id")
        batch.drop_column("needs")
    op.drop_table("audience_people")
    op.drop_table("audiences")


def _find_audiences() -> None:
    """Give each event there is the audience of the meeting that it tells of."""
    connection = op.get_bind()
    events = sa.table(
        "events",
        sa.column("organization_id", sa.Uuid()),
        sa.column("subject", sa.String()),
        sa.column("audience_id", SERIAL),
    )
    audiences = sa.table(
        "audiences",
        sa.column("id", SERIAL),
        sa.column("organization_id", sa.Uuid()),
        sa.column("subject", sa.String()),
        sa.column("private", sa.Boolean()),
    )
    subjects = sa.select(events.c.organization_id, events.c.subject).distinct()
    for organization_id, subject in connection.execute(subjects).all():
        private, people = _of_meeting(connection, organization_id, subject)
        audience = {"organization_id": organization_id, "subject": subject, "private": private}
        [made] = connection.execute(
            sa.insert(audiences).values(audience).returning(audiences.c.id)
        ).one()
        if people:
            connection.execute(
                sa.text("INSERT INTO audience_people VALUES (:audience, :person)"),
                [{"audience": made, "person": person} for person in people],
            )
    same = (audiences.c.organization_id == events.c.organization_id) & (
        audiences.c.subject == events.c.subject
    )
    connection.execute(
        sa.update(events).values(
            audience_id=sa.select(audiences.c.id).where(same).scalar_subquery()
        )
    )


def _of_meeting(
    connection: sa.Connection, organization_id: UUID, subject: str
) -> tuple[bool, list[str]]:
    """Return whether a meeting is private, and its people; what is not found is nobody's."""
    meetings = sa.table(
        "meetings",
        sa.column("organization_id", sa.Uuid()),
        sa.column("uuid", sa.Uuid()),
        sa.column("is_private", sa.Boolean()),
    )
    attendees = sa.table(
        "meeting_attendees",
        sa.column("organization_id", sa.Uuid()),
        sa.column("meeting_uuid", sa.Uuid()),
        sa.column("email_key", sa.Text()),
    )
    try:
        uuid = UUID(subject)
    except ValueError:
        return True, []
    private = connection.scalar(
        sa.select(meetings.c.is_private).where(
            meetings.c.organization_id == organization_id, meetings.c.uuid == uuid
        )
    )
    people = connection.scalars(
        sa.select(attendees.c.email_key)
        .where(attendees.c.organization_id == organization_id, attendees.c.meeting_uuid == uuid)
        .distinct()
    )
    return private is None or private, list(people)
