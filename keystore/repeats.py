"""A request that comes a second time does nothing a second time (the Idempotency-Key header).

Whoever got no answer cannot know whether their request arrived. With a name of their choice on it
they may send it again: what was done is known by that name for a day. It is written in the
transaction of the change and looked for in it, with the calling key's row held; so of two that
arrive at once one does the change and the other one learns of it.

Secrets are not kept, here or anywhere: a repetition is told which generation was made then. What
was refused, or changed nothing, is not written down; a repetition of that is a request like any.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from keystore.audit import Actor
from keystore.calls import Call
from keystore.errors import NameReused
from keystore.models import Key
from keystore.repeat_models import NamedRequest

KEPT = timedelta(hours=24)
SWEPT_AT_ONCE = 100


class Repeated(Exception):
    """What this request asks for was done when it came before. Not an error: all is well."""

    def __init__(self, key_id: UUID, generation: int) -> None:
        self.key_id = key_id
        self.generation = generation
        super().__init__("This was done before.")


def check(session: Session, actor: Actor) -> None:
    """Find out whether this request was here before; the calling key's row must be held.

    Raises Repeated, and NameReused when another request had its name.
    """
    call = _named(actor)
    if call is None:
        return
    found = session.get(NamedRequest, (actor.uuid, call.name), populate_existing=True)
    if found is None or call.at - found.at >= KEPT:
        return
    if found.content != call.content:
        raise NameReused
    raise Repeated(found.subject_id, found.generation)


def note(session: Session, actor: Actor, key: Key) -> None:
    """Write down what a named request did to a key, in the transaction in which it is done."""
    call = _named(actor)
    if call is None:
        return
    _sweep(session, call)
    session.merge(
        NamedRequest(
            key_id=actor.uuid,
            name=call.name,
            content=call.content,
            subject_id=key.id,
            generation=key.generation,
            at=call.at,
        )
    )


def _named(actor: Actor) -> Call | None:
    return None if actor.call is None or actor.call.name is None else actor.call


def _sweep(session: Session, call: Call) -> None:
    """Remove what is too old to be asked for; others who do so at the same time are left to it."""
    identity = tuple_(NamedRequest.key_id, NamedRequest.name)
    old = (
        select(NamedRequest.key_id, NamedRequest.name)
        .where(NamedRequest.at <= call.at - KEPT)
        .order_by(NamedRequest.at)
        .limit(SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    # Two statements: PostgreSQL may ask for the next while it removes the first.
    if rows := session.execute(old).all():
        session.execute(
            delete(NamedRequest).where(identity.in_([tuple(row) for row in rows])),
            execution_options={"synchronize_session": False},
        )
