"""What a subscriber does without is kept from what was frozen before it said so.

A claim takes bodies as they were frozen. Where the choice has grown since, or was made just as the
event was published, less is frozen now: that is what this and every later attempt sends. What the
subscriber wants again stays left out of what was frozen without it. Who gets everything costs
nothing here.
"""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, Table, bindparam, select, update
from sqlalchemy.orm import Session

from keystore.db import Many, one_of
from webhooks import variants
from webhooks.catalog import Catalog
from webhooks.models import Delivery, Event, EventVariant
from webhooks.picking import Job

_delivery = cast("Table", Delivery.__table__)
_FROZEN = (
    select(_delivery.c.id, _delivery.c.without, Event.type, EventVariant.event_id.is_not(None))
    .join(Event, Event.id == _delivery.c.event_id)
    .outerjoin(
        EventVariant,
        (EventVariant.event_id == _delivery.c.event_id)
        & (EventVariant.without == _delivery.c.without),
    )
    .where(one_of(_delivery.c.id, bindparam("ids", type_=Many(BigInteger))))
)
_NARROW = (
    update(_delivery)
    .where(_delivery.c.id == bindparam("row"))
    .values(without=bindparam("less", type_=_delivery.c.without.type))
)


def fit(session: Session, catalog: Catalog, jobs: Sequence[Job]) -> list[Job]:
    """Return jobs with bodies that lack what their subscribers do without at this moment.

    In the write transaction of the claim that took them.
    """
    choosy = {job.delivery_id: job for job in jobs if job.endpoint.without}
    if not choosy:
        return list(jobs)
    narrowed: dict[int, tuple[str, bytes]] = {}
    for row, frozen, event_type, has_variant in session.execute(_FROZEN, {"ids": list(choosy)}):
        job = choosy[row]
        had, chosen = set(frozen.split()), set(job.endpoint.without.split())
        if event_type not in catalog or (has_variant and chosen <= had):
            continue
        less = " ".join(sorted(had | chosen))
        body = catalog.get(event_type).cut(job.body, less)
        if body is not None:
            narrowed[row] = less, body
    if not narrowed:
        return list(jobs)
    variants.keep(
        session,
        [(UUID(choosy[row].event_id), less, body) for row, (less, body) in narrowed.items()],
    )
    session.connection().execute(
        _NARROW, [{"row": row, "less": less} for row, (less, _) in narrowed.items()]
    )
    return [
        job._replace(body=narrowed[job.delivery_id][1]) if job.delivery_id in narrowed else job
        for job in jobs
    ]
