"""Who did what, when: one row per change, in the same transaction as the change.

An attempt that was refused has a row, too, in a transaction of its own, as the other was rolled
back. The rows of an organization are numbered without a gap and chained (see keystore.chain).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from math import isfinite
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import event, select
from sqlalchemy.orm import Session, SessionTransaction

from keystore import chain
from keystore.calls import Call
from keystore.credentials import blotted
from keystore.db import inserting, writing
from keystore.errors import GenerationConflict, KeystoreError, NameTaken
from keystore.models import AuditEvent, AuditHead, Organization, Outcome

P = ParamSpec("P")
R = TypeVar("R")

#: What of a refused call may be written down. Nothing else that was typed: people paste secrets
#: into the wrong field.
TELLABLE: Mapping[type[Exception], str] = {GenerationConflict: "generation", NameTaken: "name"}

_UNWRITTEN = "keyhook_audit"


@dataclass(frozen=True)
class Actor:
    """Somebody who does something: a signed-in person, a key, the command line, or ourselves."""

    kind: Literal["user", "key", "cli", "system"]
    label: str  # e-mail address, key name, login name of the shell
    id: str | None = None
    address: str | None = None  # the network address they came from
    agent: str | None = None  # what their program calls itself (User-Agent)
    call: Call | None = None  # of a key: its request

    @property
    def uuid(self) -> UUID | None:
        """Which person or key this is, if it is one."""
        try:
            return UUID(self.id) if self.id else None
        except ValueError:
            return None


SYSTEM = Actor("system", "keyhook")


@dataclass
class _Unwritten:
    """The events of a transaction that has not been committed, in their order."""

    root: SessionTransaction
    events: list[tuple[SessionTransaction, AuditEvent]] = field(default_factory=list)


def record(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    *,
    organization_id: UUID,
    subject_type: str,
    subject_id: UUID,
    **detail: Any,
) -> None:
    """Write one audit event in the caller's transaction. The detail never holds a secret.

    `before` and `after` in the detail say what was changed. The row gets its number when the
    transaction commits: the organization's log is locked last and for that moment only, so nobody
    who holds it waits for anything else.
    """
    event_row = _event(now, actor, action, detail)
    event_row.organization_id = organization_id
    event_row.subject_type, event_row.subject_id = subject_type, str(subject_id)
    _tell(session, event_row)


def refuse(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    *,
    organization_id: UUID,
    subject_type: str,
    subject_id: UUID,
    **detail: Any,
) -> None:
    """Write down that something was refused, in a transaction of its own.

    An organization that does not exist has no log.
    """
    with writing(session):
        if session.get(Organization, organization_id) is not None:
            record_refusal(
                session,
                now,
                actor,
                action,
                organization_id=organization_id,
                subject_type=subject_type,
                subject_id=subject_id,
                **detail,
            )


def record_refusal(
    session: Session,
    now: datetime,
    actor: Actor,
    action: str,
    *,
    organization_id: UUID,
    subject_type: str,
    subject_id: UUID,
    **detail: Any,
) -> None:
    """Write down that something was refused, in the caller's transaction, which changes nothing."""
    event_row = _event(now, actor, action, detail)
    event_row.outcome = Outcome.REFUSED
    event_row.organization_id = organization_id
    event_row.subject_type, event_row.subject_id = subject_type, str(subject_id)
    _tell(session, event_row)


def refusals(
    action: str, *, of: str = "key", errors: type[Exception] = KeystoreError
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Write down when a service's method refuses: `@refusals("key.renamed")`.

    The method has the parameters session, organization_id and actor, and `<of>_id` for what it
    changes; its object has a `_clock`.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(method)

        @wraps(method)
        def watched(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except errors as error:
                given = signature.bind(*args, **kwargs).arguments
                subject_id = given.get(f"{of}_id")
                told = TELLABLE.get(type(error))
                told = told if told in given else None
                refuse(
                    given["session"],
                    given["self"]._clock.now(),  # noqa: SLF001 - the same object's
                    given["actor"],
                    action,
                    organization_id=given["organization_id"],
                    subject_type="organization" if subject_id is None else of,
                    subject_id=subject_id or given["organization_id"],
                    reason=type(error).__name__,
                    **({} if told is None else {told: given[told]}),
                )
                raise

        return watched

    return decorate


def events(session: Session, organization_id: UUID) -> Sequence[AuditEvent]:
    """Return what was done in an organization, oldest first; one read transaction.

    What was refused is in the log that `keystore.trail` reads.
    """
    with session.begin():
        return session.scalars(
            select(AuditEvent)
            .where(
                AuditEvent.organization_id == organization_id, AuditEvent.outcome == Outcome.DONE
            )
            .order_by(AuditEvent.seq)
        ).all()


def plain(stored: Any) -> dict[str, Any]:
    """Return a stored event as JSON has it, without its digest (see keystore.chain)."""
    values = {name: getattr(stored, name) for name in chain.FIELDS}
    return values | {
        "organization_id": str(stored.organization_id),
        "at": stored.at.isoformat(timespec="microseconds"),
        "outcome": str(stored.outcome),
    }


def _event(now: datetime, actor: Actor, action: str, detail: Mapping[str, Any]) -> AuditEvent:
    return AuditEvent(
        at=now.astimezone(UTC),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=storable(actor.label)[:254],
        address=_cut(actor.address, 64),
        agent=_cut(actor.agent, 255),
        action=action,
        outcome=Outcome.DONE,
        detail=_plain(detail),
    )


def _tell(session: Session, event_row: AuditEvent) -> None:
    """Keep an event until its transaction commits."""
    root = session.get_transaction()
    if root is None:
        raise RuntimeError("an audit event belongs to the transaction of what it tells")
    unwritten = session.info.get(_UNWRITTEN)
    if unwritten is None or unwritten.root is not root:
        unwritten = session.info[_UNWRITTEN] = _Unwritten(root)
    unwritten.events.append((session.get_nested_transaction() or root, event_row))


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Give numbers and digests to what a transaction has to tell, at its very end."""
    unwritten = session.info.get(_UNWRITTEN)
    if unwritten is None or session.in_nested_transaction():
        return
    del session.info[_UNWRITTEN]
    if unwritten.root is not session.get_transaction():
        return  # that one was never committed
    session.flush()
    chains: dict[UUID, list[AuditEvent]] = {}
    for _, told in unwritten.events:
        chains.setdefault(told.organization_id, []).append(told)
    for organization_id in sorted(chains):  # in one order, so that nobody waits in a circle
        _append(session, organization_id, chains[organization_id])


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    """Forget what was told in a savepoint that was rolled back."""
    unwritten = session.info.get(_UNWRITTEN)
    if unwritten is not None:
        unwritten.events = [
            (transaction, told)
            for transaction, told in unwritten.events
            if not _is_within(transaction, ended)
        ]


def _is_within(transaction: SessionTransaction | None, outer: SessionTransaction) -> bool:
    while transaction is not None and transaction is not outer:
        transaction = transaction.parent
    return transaction is outer


def _append(session: Session, organization_id: UUID, told: Sequence[AuditEvent]) -> None:
    head = _locked_head(session, organization_id)
    seq, digest = head.length, head.digest
    for event_row in told:
        seq += 1
        event_row.seq = seq
        event_row.digest = digest = chain.digest(digest, plain(event_row))
    session.add_all(told)
    head.length, head.digest = seq, digest


def _locked_head(session: Session, organization_id: UUID) -> AuditHead:
    locked = (
        select(AuditHead)
        .where(AuditHead.organization_id == organization_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    head = session.scalars(locked).one_or_none()
    if head is None:  # an organization's first row
        start = {"organization_id": organization_id, "length": 0, "digest": chain.START}
        session.execute(
            inserting(session.get_bind().dialect, AuditHead).on_conflict_do_nothing(), start
        )
        head = session.scalars(locked).one()
    return head


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else storable(text)[:length]


def storable(text: str) -> str:
    """Return a text that every database takes, with our secrets blotted out."""
    taken = text.encode("utf-8", "replace").decode().replace("\x00", "?")
    return blotted(taken)


def _plain(value: Any) -> Any:
    """Return a value as it comes back from JSON, so that its digest is that of what is stored."""
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {storable(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value))
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return storable(value.isoformat() if isinstance(value, datetime) else str(value))
