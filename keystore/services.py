"""The ground floor's collaborators in one value, as the pages and the floors above get them."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from keystore.accounts import Accounts
from keystore.clock import Clock
from keystore.db import Database
from keystore.expiries import Expiries
from keystore.grants import Grants
from keystore.inventory import Inventory
from keystore.invitations import Invitations
from keystore.keys import Keys
from keystore.knocks import Knocks
from keystore.leak_feed import LeakFeed
from keystore.leaks import Leaks
from keystore.limits import Limits
from keystore.mail import Mails
from keystore.members import Members
from keystore.overlaps import Overlaps
from keystore.people import People
from keystore.quotas import Quotas
from keystore.rates import Rates
from keystore.resets import Resets
from keystore.scopes import Reach, Rights
from keystore.second_factor import SecondFactor
from keystore.sessions import Sessions
from keystore.settings import Settings
from keystore.teams import Teams
from keystore.throttle import Throttle
from keystore.tokens import Tokens
from keystore.uses import Uses
from keystore.vault import Vault
from keystore.verification import Verification


@dataclass(frozen=True)
class Services:
    """What a view needs. Made once, by the composition root."""

    settings: Settings
    db: Database
    clock: Clock
    vault: Vault
    accounts: Accounts
    verification: Verification
    keys: Keys
    expiries: Expiries
    overlaps: Overlaps
    inventory: Inventory
    grants: Grants
    rates: Rates
    limits: Limits
    quotas: Quotas
    tokens: Tokens
    uses: Uses
    sessions: Sessions
    throttle: Throttle
    second_factor: SecondFactor
    people: People
    members: Members
    teams: Teams
    mail: Mails
    invitations: Invitations
    resets: Resets
    knocks: Knocks
    leaks: Leaks
    leak_feed: LeakFeed
    #: What rights in an organization would show, for a dry run; the floor with the data knows.
    reach: Callable[[Session, UUID, Rights], Reach]
