"""What a subscription wants, as rows that publishing reads; in the caller's transaction."""

from collections.abc import Collection, Sequence
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from keystore.team_models import Team
from webhooks import choices
from webhooks.errors import BadChoice
from webhooks.models import Subscription, SubscriptionTeam, SubscriptionType


def index(session: Session, subscription: Subscription) -> None:
    """Let publish find a subscription under its event types."""
    mine = SubscriptionType.subscription_id == subscription.id
    session.execute(delete(SubscriptionType).where(mine))
    rows = [
        {
            "organization_id": subscription.organization_id,
            "event_type": name,
            "subscription_id": subscription.id,
        }
        for name in subscription.types
    ]
    session.execute(insert(SubscriptionType), rows)


def set_teams(session: Session, subscription: Subscription, chosen: Collection[UUID]) -> None:
    """Let a subscription have only what is attributed to these teams; all when there are none.

    Raises BadChoice.
    """
    wanted = set(chosen)
    if len(wanted) > choices.MAX_TEAMS:
        raise BadChoice("teams", f"Choose at most {choices.MAX_TEAMS} teams.")
    of_ours = (Team.organization_id == subscription.organization_id, Team.id.in_(wanted))
    if wanted and wanted.difference(session.scalars(select(Team.id).where(*of_ours))):
        raise BadChoice("teams", "There is no such team; GET /v1/teams/ lists those there are.")
    mine = SubscriptionTeam.subscription_id == subscription.id
    session.execute(delete(SubscriptionTeam).where(mine))
    subscription.by_team = bool(wanted)
    if wanted:
        rows = [{"subscription_id": subscription.id, "team_id": one} for one in sorted(wanted)]
        session.execute(insert(SubscriptionTeam), rows)
    session.flush()


def teams(session: Session, subscription: Subscription) -> list[str]:
    """Return the ids of the teams whose meetings a subscription wants."""
    mine = SubscriptionTeam.subscription_id == subscription.id
    return [
        str(one) for one in sorted(session.scalars(select(SubscriptionTeam.team_id).where(mine)))
    ]


def told(subscription: Subscription, teams: Sequence[str]) -> dict[str, object]:
    """Return what a log may know of what was chosen: of a URL the host, of headers the names.

    A URL of a platform's is a secret of its own; by its digest one is told from another.
    """
    url = subscription.target_url
    return {
        "event_types": list(subscription.types),
        "target": f"{urlsplit(url).hostname} {sha256(url.encode()).hexdigest()[:8]}",
        "teams": list(teams),
        "without": subscription.without.split(),
        "headers": subscription.header_names.split(),
        "rate": subscription.rate,
    }
