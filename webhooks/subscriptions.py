"""Who wants which events where: subscribe, change, unsubscribe, end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import SystemRandom
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from keystore import audit
from keystore.audit import Actor
from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import writing
from keystore.keys import Dependent
from keystore.models import Key
from keystore.scopes import Rights
from keystore.vault import Vault
from webhooks import choices, held, lanes, signing, wishes
from webhooks.addresses import Network
from webhooks.catalog import Catalog, EventType
from webhooks.choices import Choices, Verify
from webhooks.consent import Consent, method_for
from webhooks.errors import (
    KeyEnded,
    WebhooksError,
)
from webhooks.models import (
    Subscription,
    SubscriptionTeam,
)
from webhooks.platforms import described
from webhooks.seals import headers_context, secret_context
from webhooks.signing import Random, Scheme
from webhooks.targets import check_target


@dataclass(frozen=True)
class Subscribed:
    """A new subscription with its signing secret: the only moment at which it can be read.

    In scheme v1a it is the public key, which can be read at any other moment, too.
    """

    subscription: Subscription
    signing_secret: SecretValue


class Subscriptions:
    """The subscriptions of all organizations."""

    def __init__(
        self,
        vault: Vault,
        clock: Clock,
        catalog: Catalog,
        allow_networks: Sequence[Network] = (),
        *,
        random: Random | None = None,
        consent: Consent | None = None,
    ) -> None:
        """Take what is needed; consent: who asks the owners of targets, if a subscriber wishes."""
        self._vault = vault
        self._consent = consent
        self._clock = clock
        self._catalog = catalog
        self._allowed = tuple(allow_networks)
        self._random = random or SystemRandom()

    @audit.refusals("subscription.created", errors=WebhooksError)
    def subscribe(
        self,
        session: Session,
        *,
        organization_id: UUID,
        key_id: UUID,
        event_type: str | Sequence[str],
        target_url: str,
        operations: frozenset[str],
        actor: Actor,
        target_type: int | None = None,
        chosen: Choices = Choices(),  # noqa: B008 - a value
        scheme: Scheme = Scheme.V1,
        verify: Verify | None = None,
    ) -> Subscribed:
        """Send events of one or several types to a URL from now on, as far as the key may see them.

        operations: the scopes of whoever asks, perhaps less than the key's. target_type: as in
        `choices.target_type`. The same URL may subscribe twice, as platforms make a subscription
        per automation. verify: ask first whoever is at the URL (platforms are not asked); without
        their consent there is no subscription. Raises UnknownEventType, ScopeLacking, BadTarget,
        BadTargetType, BadChoice, KeyEnded, NotConfirmed, Busy.
        """
        types = choices.wanted(self._catalog, event_type, operations)
        names = [one.name for one in types]
        target_type = choices.target_type(target_type, names, by_team=bool(chosen.teams))
        check_target(target_url, self._allowed)
        now = self._clock.now()
        secret = signing.new_private_key if scheme is Scheme.V1A else signing.new_secret
        made = secret(self._random)
        subscription = Subscription(
            id=uuid4(),
            organization_id=organization_id,
            key_id=key_id,
            event_types=" ".join(names),
            target_url=target_url,
            target_type=target_type,
            without="",
            header_names="",
            by_team=False,
            public_key=signing.public_key(made) if scheme is Scheme.V1A else None,
            verify=method_for(target_url, target_type, verify),
            is_active=True,
            created_at=now,
        )
        subscription.secret_sealed = self._vault.seal(made, secret_context(subscription.id))
        self._choose(subscription, chosen, types)
        rate = self._confirm(subscription, target_url)
        if chosen.rate is None:
            subscription.rate = rate
        with writing(session):
            held.admit(session, actor, organization_id)
            # Held until the commit: who deletes the key meanwhile waits, and finds this one to end.
            alive = select(Key.id).where(Key.id == key_id, Key.deleted_at.is_(None))
            if session.scalars(alive.with_for_update(read=True)).first() is None:
                raise KeyEnded
            session.add(subscription)
            session.flush()
            lanes.open_lane(session, subscription.id)
            wishes.index(session, subscription)
            wishes.set_teams(session, subscription, chosen.teams or ())
            held.record(
                session,
                now,
                actor,
                "subscription.created",
                subscription,
                **({"event_types": names} if len(names) > 1 else {}),
            )
        public_key = subscription.public_key
        return Subscribed(subscription, SecretValue(public_key) if public_key else made)

    @audit.refusals("subscription.changed", of="subscription", errors=WebhooksError)
    def change(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        caller: Rights,
        actor: Actor,
        only_of: UUID | None = None,
        event_types: Sequence[str] | None = None,
        target_url: str | None = None,
        chosen: Choices = Choices(),  # noqa: B008 - a value
    ) -> Subscription:
        """Change what was chosen; what is None stays. Counts for what is published from now on.

        A new target, new headers and a new rate count for what waits, too. caller: the rights of
        whoever asks. They must be those of the key that subscribed, or more: what that key sees is
        not to be turned to where it did not send it. `only_of` as in `list`. Raises as `subscribe`,
        SubscriptionNotFound, SubscriptionEnded, RightsLacking. Where consent was asked for, it is
        asked for again at a new target.
        """
        if target_url is not None:
            check_target(target_url, self._allowed)
            with session.begin():
                present = held.find(session, subscription_id, organization_id, only_of)
            if target_url != present.target_url:
                self._confirm(present, target_url)
        with writing(session):
            subscription = held.hold(session, subscription_id, organization_id, actor, only_of)
            before = wishes.told(subscription, wishes.teams(session, subscription))
            types = choices.wanted(
                self._catalog, event_types or subscription.types, caller.operations
            )
            held.cover(session, subscription, caller)
            teams = chosen.teams if chosen.teams is not None else ()
            choices.target_type(subscription.target_type, subscription.types, by_team=bool(teams))
            if event_types is not None:
                subscription.event_types = " ".join(one.name for one in types)
                wishes.index(session, subscription)
            if target_url is not None and target_url != subscription.target_url:
                subscription.target_url = target_url
                # What failed was the place before.
                subscription.failing_since, subscription.warned_at = None, 0
            self._choose(subscription, chosen, types)
            if chosen.teams is not None:
                wishes.set_teams(session, subscription, chosen.teams)
            after = wishes.told(subscription, wishes.teams(session, subscription))
            changed = [name for name in after if after[name] != before[name]]
            held.record(
                session,
                self._clock.now(),
                actor,
                "subscription.changed",
                subscription,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
        return subscription

    def _confirm(self, subscription: Subscription, target_url: str) -> int | None:
        """Ask whoever is at a URL, if that was wished for; no transaction is open meanwhile.

        Returns the rate that they gave.
        """
        how = Verify(subscription.verify) if subscription.verify else None
        how = method_for(target_url, subscription.target_type, how)
        if how is None or self._consent is None:
            return None
        return self._consent.ask(subscription.organization_id, target_url, how)

    def _choose(
        self, subscription: Subscription, chosen: Choices, types: Iterable[EventType]
    ) -> None:
        """Put what was chosen into a subscription; of what was not, check that it still fits."""
        if chosen.without is not None:
            subscription.without = choices.parts_left_out(chosen.without, types)
        elif subscription.without:
            known = {part for one in types for part in one.parts}
            kept = [part for part in subscription.without.split() if part in known]
            subscription.without = " ".join(kept)
        if chosen.rate is not None:
            subscription.rate = choices.check_rate(chosen.rate)
        if chosen.headers is not None:
            lines = choices.header_lines(chosen.headers)
            text = SecretValue(choices.written(lines))
            context = headers_context(subscription.id)
            subscription.headers_sealed = self._vault.seal(text, context) if lines else None
            subscription.header_names = " ".join(lines)

    @audit.refusals("subscription.ended", of="subscription", errors=WebhooksError)
    def unsubscribe(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        actor: Actor,
        only_of: UUID | None = None,
    ) -> Subscription:
        """End a subscription; once more is the same as once. `only_of` as in `list`.

        Raises KeyEnded, SubscriptionNotFound.
        """
        with writing(session):
            held.admit(session, actor, organization_id)
            subscription = held.find(session, subscription_id, organization_id, only_of)
            which = Subscription.id == subscription_id
            held.end(session, which, held.UNSUBSCRIBED, now=self._clock.now(), actor=actor)
        return subscription

    def list(
        self, session: Session, organization_id: UUID, *, only_of: UUID | None = None
    ) -> Sequence[Subscription]:
        """Return an organization's active subscriptions, newest first.

        only_of: a key; then those alone that were made with it.
        """
        query = (
            select(Subscription)
            .where(Subscription.organization_id == organization_id, Subscription.is_active)
            .order_by(Subscription.created_at.desc(), Subscription.id)
        )
        if only_of is not None:
            query = query.where(Subscription.key_id == only_of)
        with session.begin():
            return session.scalars(query).all()

    def get(
        self,
        session: Session,
        subscription_id: UUID,
        *,
        organization_id: UUID,
        only_of: UUID | None = None,
    ) -> Subscription:
        """Return one subscription, also an ended one; `only_of` as in `list`.

        Raises SubscriptionNotFound.
        """
        with session.begin():
            return held.find(session, subscription_id, organization_id, only_of)

    def of_key(self, session: Session, key: Key) -> Sequence[Dependent]:
        """Return what would end with a key: its subscriptions by event types and platform."""
        with session.begin():
            rows = session.execute(
                select(Subscription.event_types, Subscription.target_url).where(
                    Subscription.key_id == key.id, Subscription.ended_at.is_(None)
                )
            ).all()
        counted = Counter(
            (row.event_types, urlsplit(row.target_url).hostname or "") for row in rows
        )
        return [
            Dependent(f"{', '.join(event_types.split())} to {described(host)}", count)
            for (event_types, host), count in sorted(counted.items())
        ]

    def teams(
        self, session: Session, subscriptions: Sequence[Subscription]
    ) -> dict[UUID, tuple[UUID, ...]]:
        """Return whose meetings subscriptions want: ids of teams, by the subscription's id."""
        chosen = [one.id for one in subscriptions if one.by_team]
        if not chosen:
            return {}
        found: dict[UUID, tuple[UUID, ...]] = dict.fromkeys(chosen, ())
        query = select(SubscriptionTeam).where(SubscriptionTeam.subscription_id.in_(chosen))
        with session.begin():
            for row in session.scalars(query.order_by(SubscriptionTeam.team_id)):
                found[row.subscription_id] += (row.team_id,)
        return found

    def end_for_key(self, session: Session, key: Key, actor: Actor) -> None:
        """End what was subscribed with a key that is being deleted; in the caller's transaction."""
        which = Subscription.key_id == key.id
        held.end(session, which, held.KEY_DELETED, now=self._clock.now(), actor=actor)
