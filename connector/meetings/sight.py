"""What a caller may see of the meetings. Every query of this package goes through one of these."""

from dataclasses import dataclass
from uuid import UUID

from connector.meetings.fields import fold_email
from connector.meetings.schemas import Meeting
from keystore.scopes import Rights


@dataclass(frozen=True)
class Sight:
    """All meetings of one organization, or those of one person in it, private ones or not.

    `person`: folded address (`fields.fold_email`) of somebody who has to take part; None: nobody
    has to. What is out of sight is not there: asking for it is asking for nothing.
    """

    organization_id: UUID
    person: str | None = None
    private: bool = True

    @classmethod
    def of(cls, organization_id: UUID, rights: Rights) -> "Sight":
        """Return what somebody with these rights sees in their organization."""
        person = None if rights.person is None else fold_email(rights.person)
        return cls(organization_id, person, rights.data.sees_private)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the organization is hidden."""
        return self.private and self.person is None

    def shows(self, meeting: Meeting) -> bool:
        """Tell whether this meeting of the organization is in sight."""
        if meeting.is_private and not self.private:
            return False
        # The organizer is always among the attendees, see `record.merged`.
        people = (fold_email(one.email) for one in meeting.attendees)
        return self.person is None or self.person in people
