"""What a caller may see of the meetings. Every query of this package goes through one of these."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class DataScope:
    """All meetings of one organization, private ones included; nothing of any other."""

    organization_id: UUID
