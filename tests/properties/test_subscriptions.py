"""Publishing finds exactly who wants an event at that moment, whatever was done to them before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from keystore import scopes
from keystore.clock import ManualClock
from keystore.db import Database, writing
from keystore.keys import Issued
from keystore.models import Organization, User
from keystore.teams import Teams
from keystore.vault import Vault
from tests.webhooks.conftest import ADA, EVERYTHING, NOTE_GONE, NOTE_READY
from webhooks import audiences, outbox
from webhooks.catalog import Catalog
from webhooks.choices import Choices
from webhooks.errors import SubscriptionEnded
from webhooks.models import Delivery
from webhooks.subscriptions import Subscriptions
from webhooks.switches import Switches

TYPES = {one.name: one for one in (NOTE_READY, NOTE_GONE)}
NAMES = st.sampled_from([["note.ready"], ["note.gone"], ["note.ready", "note.gone"]])


@dataclass
class Wanted:
    """What one subscription wants, as we know it from what was done."""

    types: list[str]
    by_team: bool = False
    is_on: bool = True
    has_ended: bool = False


@dataclass
class World:
    """The services, and what should be so."""

    database: Database
    do: Callable[..., Any]
    team: UUID
    inside: str  # somebody in the team
    outside: str
    organization_id: UUID
    key_id: UUID
    subscriptions: Subscriptions
    switches: Switches
    clock: ManualClock
    wanted: dict[UUID, Wanted] = field(default_factory=dict)
    number: int = 0

    def subscribe(self, types: list[str], by_team: bool) -> None:
        made = self.do(
            self.subscriptions.subscribe,
            key_id=self.key_id,
            event_type=types,
            target_url="https://hooks.example.com/",
            operations=scopes.DEFAULT,
            chosen=Choices(teams=[self.team] if by_team else []),
        )
        self.wanted[made.subscription.id] = Wanted(types, by_team)

    def change(self, one: UUID, types: list[str] | None, by_team: bool | None) -> None:
        chosen = Choices() if by_team is None else Choices(teams=[self.team] if by_team else [])
        present = self.wanted[one]
        try:
            self.do(
                self.subscriptions.change, one, caller=EVERYTHING, event_types=types, chosen=chosen
            )
        except SubscriptionEnded:
            assert present.has_ended
            return
        assert not present.has_ended
        present.types = present.types if types is None else types
        present.by_team = present.by_team if by_team is None else by_team

    def switch(self, one: UUID, on: bool) -> None:
        try:
            self.do(self.switches.on if on else self.switches.off, one)
        except SubscriptionEnded:
            return
        self.wanted[one].is_on = on

    def end(self, one: UUID) -> None:
        self.do(self.subscriptions.unsubscribe, one)
        self.wanted[one].has_ended = True

    def publish(self, name: str, organizer: str | None) -> None:
        self.number += 1
        with self.database.session() as session, writing(session):
            audience = None
            if organizer is not None:
                audience = audiences.show_to(
                    session,
                    organization_id=self.organization_id,
                    subject=f"note-{self.number}",
                    people=[organizer],
                    private=False,
                    attributed=organizer,
                )
            event = outbox.publish(
                session,
                organization_id=self.organization_id,
                event_type=TYPES[name],
                body=b"{}",
                subject=f"note-{self.number}",
                audience=audience,
                now=self.clock.now(),
            )
            session.flush()
            query = select(Delivery.subscription_id).where(Delivery.event_id == event.id)
            found = list(session.scalars(query))
        assert sorted(found) == sorted(
            one
            for one, present in self.wanted.items()
            if name in present.types
            and present.is_on
            and not present.has_ended
            and (not present.by_team or organizer == self.inside)
        )


def test_publishing_finds_exactly_who_wants_it(
    database: Database,
    vault: Vault,
    clock: ManualClock,
    organization: Organization,
    issued: Issued,
    admin: User,
    member: User,
) -> None:
    catalog = Catalog()
    for one in TYPES.values():
        catalog.register(one)

    def do(act: Callable[..., Any], *arguments: object, **more: object) -> Any:
        with database.session() as session:
            return act(session, *arguments, organization_id=organization.id, actor=ADA, **more)

    teams = Teams(clock)
    team = do(teams.create, "Sales")
    do(teams.set_members, team.id, [member.id])
    world = World(
        database,
        do,
        team.id,
        member.email,
        admin.email,
        organization.id,
        issued.key.id,
        Subscriptions(vault, clock, catalog),
        Switches(clock),
        clock,
    )

    @settings(max_examples=30)
    @given(st.data())
    def live(data: st.DataObject) -> None:
        world.subscribe(data.draw(NAMES), data.draw(st.booleans()))
        # By number, as there are not as many in every example.
        recent = list(world.wanted)[-6:]
        ids = st.integers(0, 5).map(lambda number: recent[number % len(recent)])
        for _ in range(data.draw(st.integers(1, 6))):
            match data.draw(st.sampled_from(["change", "switch", "end", "publish"])):
                case "change":
                    types = data.draw(st.none() | NAMES)
                    world.change(data.draw(ids), types, data.draw(st.none() | st.booleans()))
                case "switch":
                    world.switch(data.draw(ids), data.draw(st.booleans()))
                case "end":
                    world.end(data.draw(ids))
                case _:
                    pass
            organizer = st.sampled_from([world.inside, world.outside, None])
            world.publish(data.draw(st.sampled_from(sorted(TYPES))), data.draw(organizer))

    live()
