"""What a claim takes from the lanes whose turn it is: how much of each, and what is dropped.

The statements here run once for each batch of deliveries, beside the sending itself the busiest
part of a worker.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    Table,
    Uuid,
    and_,
    bindparam,
    func,
    join,
    select,
    true,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from keystore.db import Many, one_of
from keystore.prepared import Direct
from webhooks import fairness, lanes
from webhooks.audiences import members, objection
from webhooks.fairness import Room
from webhooks.lanes import IS_AGAIN, IS_FIRST, Endpoint, Turn
from webhooks.models import Audience, Delivery, DropReason, Event, EventVariant, Lane

AGAIN_PAUSE = timedelta(seconds=1)  # before a lane is looked at again whose retries found no room


class Job(NamedTuple):
    """A delivery that is ours for a while, with all that is needed to send it."""

    token: str  # of the lease
    delivery_id: int
    event_id: str  # its 32 hexadecimal digits
    body: bytes
    attempts: int  # made before
    throttles: int
    created_at: datetime  # when the event was published, or sent again by somebody's wish
    lane: str  # 32 hexadecimal digits, too
    endpoint: Endpoint


_delivery = cast("Table", Delivery.__table__)
_lane = cast("Table", Lane.__table__)
_event = cast("Table", Event.__table__)
_audience = cast("Table", Audience.__table__)
_variant = cast("Table", EventVariant.__table__)
_in_lanes = one_of(_lane.c.subscription_id, bindparam("lanes", type_=Many(Uuid)))


def _hex(uuid: ColumnElement[UUID]) -> ColumnElement[str]:
    """Return a UUID as its 32 digits; to hash and compare, much cheaper than a UUID of Python's."""
    return func.replace(cast_to(uuid, String), "-", "", type_=String)


def _waiting(which: ColumnElement[bool], *, lateral: bool) -> Select[Any]:
    """Return the first few of what waits in each of some lanes, by the index made for it."""
    picked = (
        select(_delivery if lateral else _delivery.c.id)
        .where(
            _delivery.c.subscription_id == _lane.c.subscription_id,
            which,
            _delivery.c.due_at <= bindparam("now"),
        )
        .correlate(_lane)
        .order_by(_delivery.c.due_at, _delivery.c.id)
        .limit(bindparam("each"))
    )
    if lateral:
        of: FromClause = picked.with_for_update(skip_locked=True, of=_delivery).lateral("waiting")
        source = join(_lane, of, true())
    else:  # SQLite: it has no LATERAL, and looks each of these ids up at once
        of = _delivery
        source = join(_lane, of, _delivery.c.id.in_(picked))
    event, has_event = _looked_up(_event, _event.c.id == of.c.event_id, lateral=lateral)
    audience, has_audience = _looked_up(
        _audience, _audience.c.id == event.c.audience_id, lateral=lateral
    )
    variant, has_variant = _looked_up(
        _variant,
        and_(_variant.c.event_id == of.c.event_id, _variant.c.without == of.c.without),
        lateral=lateral,
    )
    return (
        select(
            _hex(of.c.subscription_id),
            of.c.id,
            _hex(of.c.event_id),
            of.c.attempts,
            of.c.throttles,
            of.c.created_at,
            func.coalesce(variant.c.body, event.c.body),
            event.c.needs,
            event.c.audience_id,
            audience.c.private,
        )
        .select_from(
            source.join(event, has_event)
            .outerjoin(audience, has_audience)
            .outerjoin(variant, has_variant)
        )
        .where(_in_lanes)
        .order_by(of.c.due_at, of.c.id)
    )


def _looked_up(
    table: Table, by: ColumnElement[bool], *, lateral: bool
) -> tuple[FromClause, ColumnElement[bool]]:
    """Return what to join, and how."""
    return (lanes.looked_up(table.name, table.c, by), true()) if lateral else (table, by)


#: By whether the database is SQLite.
FIRST_TRIES = {here: Direct(_waiting(IS_FIRST, lateral=not here)) for here in (True, False)}
RETRIES = {here: Direct(_waiting(IS_AGAIN, lateral=not here)) for here in (True, False)}


class _Share:
    """A lane whose turn it is, and what is taken from it."""

    def __init__(self, turn: Turn, each: int, room: Room, now: datetime) -> None:
        endpoint = turn.endpoint
        self.turn = turn
        self.lane = endpoint.subscription_id.hex
        self.taken = 0
        self.left_at: datetime | None = None  # its next turn, if more is due in it
        self._now = now
        self._objections = dict[tuple[str, bool | None, bool], DropReason | None]()
        self._bucket = fairness.bucket(endpoint.rate, endpoint.target_url)
        self._is_failing = endpoint.failing_since is not None
        self._space = room.for_lane(self.lane, is_failing=self._is_failing)
        self._most = min(each, self._space)
        if self._bucket is not None:
            self._most = min(self._most, self._bucket.tokens(turn.full_at, now))

    def objection(
        self,
        sight: Sequence[Any],
        together: Collection[tuple[int, str]],
    ) -> DropReason | None:
        """Tell why its subscriber may not have something now; None when it may.

        sight: what its event needs, its audience, and whether that is private. together: which
        owners of personal keys are of which audiences.
        """
        needs, audience, private = sight
        if not self.turn.is_active:
            return DropReason.ENDED
        standing = self.turn.standing
        is_in = audience is not None and (audience, standing.email) in together
        asked = (needs, private, is_in)
        if asked not in self._objections:
            self._objections[asked] = objection(standing, *asked, self._now)
        return self._objections[asked]

    def take(self) -> bool:
        """Take one more, unless it has had its share."""
        if self.taken >= self._most:
            self.leave()
            return False
        self.taken += 1
        return True

    @property
    def is_full(self) -> bool:
        """Whether it has had its share; one that may have nothing now has not."""
        return 0 < self._most <= self.taken

    def leave(self, pause: timedelta = timedelta()) -> None:
        """Let the lane go to the end of the line, as it holds more."""
        self.left_at = self.left_at or self._now + pause

    @property
    def full_at(self) -> datetime | None:
        """When its bucket will be full again, if one was drawn from."""
        if self._bucket is None or not self.taken:
            return None
        return self._bucket.take(self.taken, self.turn.full_at, self._now)

    @property
    def next_turn(self) -> datetime | None:
        """When it is its turn again; None when nothing more is due."""
        if self.left_at is None or self._bucket is None:
            return self.left_at
        full_at = self.full_at or self.turn.full_at
        return max(self.left_at, self._bucket.next_at(full_at, self._now))

    @property
    def has_more(self) -> bool:
        """Whether more could be taken from it this moment."""
        return self.next_turn == self._now and self.taken < self._space

    @property
    def awaits_answers(self) -> bool:
        """Whether its endpoint, which is well, now has all that it is trusted with at once.

        Though it may hold no more: what comes next is to find it as soon as there is room again.
        """
        may_go_on = self.next_turn in {None, self._now}
        return may_go_on and 0 < self._space <= self.taken and not self._is_failing


class Picking:
    """What one claim takes from the lanes whose turn it is."""

    def __init__(self, session: Session, turns: Sequence[Turn], room: Room, now: datetime) -> None:
        self._session = session
        self._now = now
        self._each = max(1, room.total // len(turns))
        shares = [_Share(turn, self._each, room, now) for turn in turns]
        self._shares = {share.lane: share for share in shares}
        self._lanes = [turn.endpoint.subscription_id for turn in turns]
        self.token = uuid4().hex
        self.jobs: list[Job] = []
        self.dropped = defaultdict[DropReason, list[int]](list)
        self.emptied: list[UUID] = []  # lanes in which there was nothing to take
        self.lingering: list[UUID] = []  # those from which all was taken

    def pick(self, statements: Mapping[bool, Direct], budget: int) -> None:
        """Take up to `budget` deliveries of one kind, and drop what may not be sent."""
        connection = self._session.connection()
        rows = statements[connection.dialect.name == "sqlite"].rows(
            connection, lanes=self._lanes, each=self._each, now=self._now
        )
        together = self._people(rows)
        seen = Counter[_Share]()
        for lane, delivery_id, event_id, attempts, throttles, created_at, body, *sight in rows:
            share = self._shares[lane]
            seen[share] += 1
            why = share.objection(sight, together)
            if why is not None:
                self.dropped[why].append(delivery_id)
            elif budget <= 0:
                share.leave(AGAIN_PAUSE)
            elif share.take():
                budget -= 1
                self.jobs.append(
                    Job(
                        self.token,
                        delivery_id,
                        event_id,
                        body,
                        attempts,
                        throttles,
                        created_at,
                        share.lane,
                        share.turn.endpoint,
                    )
                )
        for share, count in seen.items():
            if count == self._each:  # there may be more where these came from
                share.leave()

    @property
    def is_full(self) -> bool:
        """Whether each lane has had its share."""
        return all(share.is_full for share in self._shares.values())

    @property
    def more(self) -> bool:
        """Whether there was more to take at this moment."""
        return any(share.has_more for share in self._shares.values())

    @property
    def awaiting(self) -> list[str]:
        """The lanes that may get more as soon as their endpoints have answered."""
        return [lane for lane, share in self._shares.items() if share.awaits_answers]

    def send_lanes_on(self) -> None:
        """Say when it is each lane's turn again.

        A lane keeps having it until nothing is found to take: who publishes while it is served sees
        that its turn has come, and calls nobody.
        """
        drained: dict[UUID, datetime] = {}
        later: dict[UUID, datetime] = {}
        again: list[UUID] = []
        for lane, share in zip(self._lanes, self._shares.values(), strict=True):
            if (full_at := share.full_at) is not None:
                drained[lane] = full_at
            turn_at = share.next_turn
            if turn_at is None:
                (self.lingering if share.taken else self.emptied).append(lane)
            elif turn_at == self._now:
                again.append(lane)
            else:
                later[lane] = turn_at
        lanes.drain(self._session, drained)
        lanes.requeue(self._session, again + self.lingering, self._now)
        lanes.postpone(self._session, later)
        lanes.run_dry(self._session, self.emptied, self._now)

    def _people(self, rows: Sequence[Any]) -> Collection[tuple[int, str]]:
        """Return which owners of personal keys are of which audiences."""
        owners = {
            lane: share.turn.standing.email
            for lane, share in self._shares.items()
            if share.turn.standing.email is not None
        }
        if not owners:
            return ()
        asked = {
            (audience, owners[lane])
            for lane, *_, audience, _private in rows
            if audience is not None and lane in owners
        }
        return members(self._session, asked) if asked else ()
