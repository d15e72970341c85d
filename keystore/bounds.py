"""How far a key reaches, and whether another one reaches no further. Pure decisions.

How many requests a minute it may make is no part of this: that protects the server, and is looked
at where a limit is set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keystore import networks
from keystore.scopes import Rights


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a key may do, from where (no network: from anywhere), and until when (None: for ever).

    What is compared by `cover` are upper bounds: how far a key could ever come as it stands.
    """

    rights: Rights
    networks: Sequence[str] = ()
    expires_at: datetime | None = None

    def lacks(self, other: "Bounds") -> str | None:
        """Say in a sentence what the other one has beyond these; None when there is nothing."""
        if missing := sorted(other.rights.operations - self.rights.operations):
            return f"The key you call with may not do this itself: {', '.join(missing)}."
        if not self.rights.cover(other.rights):
            return "The key you call with does not see all the meetings that this one would."
        if not networks.within(other.networks, self.networks):
            allowed = ", ".join(self.networks)
            return f"The key you call with may be used from {allowed} only, and so must this one."
        if self._ends_before(other.expires_at):
            return f"The key you call with ends at {self.expires_at}, and this one must not later."
        return None

    def _ends_before(self, moment: datetime | None) -> bool:
        return self.expires_at is not None and (moment is None or moment > self.expires_at)
