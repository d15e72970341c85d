"""Reading the audit log: pages of it, all of it in order, and whether it is as it was written."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from keystore import audit, chain
from keystore.chain import Verdict
from keystore.models import AuditEvent, AuditHead, Key, Organization, Outcome, User

PAGE_SIZE = 50
BATCH = 1000  # rows that an export reads at once, each batch in a short transaction of its own

Format = Literal["csv", "jsonl"]
#: What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
COLUMNS = (*chain.FIELDS[:-1], "before", "after", "detail", "digest")


@dataclass(frozen=True)
class Filter:
    """Which rows are wanted; what is left out restricts nothing."""

    action: str | None = None
    actor: str | None = None  # a part of the actor's label
    key_id: UUID | None = None  # what was done to this key, and what it did
    outcome: Outcome | None = None
    since: datetime | None = None  # from this moment on
    until: datetime | None = None  # before this moment
    after: int = 0  # rows with greater numbers
    before: int | None = None  # rows with smaller numbers


@dataclass(frozen=True)
class Page:
    """Some rows, newest first, and where the following ones begin."""

    events: Sequence[AuditEvent]
    next_before: int | None  # for Filter.before; None: there are no more
    names: Mapping[str, str]  # what the rows' subjects are called today, by id


def page(session: Session, organization_id: UUID, wanted: Filter, *, size: int = PAGE_SIZE) -> Page:
    """Return one page of an organization's log; one read transaction."""
    query = _wanted(organization_id, wanted).order_by(AuditEvent.seq.desc()).limit(size + 1)
    with session.begin():
        found = session.scalars(query).all()
        names = _names(session, found[:size])
    more = len(found) > size
    return Page(found[:size], found[size - 1].seq if more else None, names)


def actions(session: Session, organization_id: UUID) -> Sequence[str]:
    """Return the actions that there are in an organization's log, in the order of the alphabet."""
    with session.begin():
        return session.scalars(
            select(AuditEvent.action)
            .where(AuditEvent.organization_id == organization_id)
            .distinct()
            .order_by(AuditEvent.action)
        ).all()


def keys(session: Session, organization_id: UUID) -> Sequence[Key]:
    """Return the keys that a log may tell of: live ones by name, then deleted ones."""
    with session.begin():
        return session.scalars(
            select(Key)
            .where(Key.organization_id == organization_id)
            .order_by(Key.deleted_at.is_not(None), Key.name, Key.created_at)
        ).all()


def export(
    open_session: Callable[[], Session],
    organization_id: UUID,
    form: Format,
    wanted: Filter | None = None,
    *,
    limit: int | None = None,
) -> Iterator[str]:
    """Yield an organization's log as lines, oldest first, at most `limit` of them.

    With `after` (the last row's number) and `limit` it comes in parts; put together these are the
    whole, to the byte: the CSV's heading stands before the first row only.
    """
    wanted = wanted or Filter()
    write: Callable[[Mapping[str, Any]], str] = json_line
    if form == "csv":
        write = csv_line
        if wanted.after == 0:
            yield _csv(COLUMNS)
    while limit is None or limit > 0:
        size = BATCH if limit is None else min(BATCH, limit)
        query = _wanted(organization_id, wanted).order_by(AuditEvent.seq).limit(size)
        with open_session() as session, session.begin():
            rows = session.scalars(query).all()
        for row in rows:
            yield write(audit.plain(row) | {"digest": row.digest})
        if len(rows) < size:
            return
        wanted = replace(wanted, after=rows[-1].seq)
        limit = None if limit is None else limit - size


def json_line(row: chain.Row) -> str:
    """Return a row as one line of JSON, with all that its digest covers."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def csv_line(row: chain.Row) -> str:
    """Return a row as one line of CSV (RFC 4180) that no spreadsheet takes for a formula."""
    detail = dict(row["detail"])
    cells = dict(row) | {
        "before": _cell(detail.pop("before", None)),
        "after": _cell(detail.pop("after", None)),
        "detail": _cell(detail or None),
    }
    return _csv([cells[name] for name in COLUMNS])


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _csv(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def verify(
    session: Session, organization_id: UUID, expected: Mapping[int, str] | None = None
) -> Verdict:
    """Tell whether an organization's log is as it was written, and if not, where it breaks.

    `expected` holds digests by row number that were noted elsewhere. One statement reads the rows
    and what they should end with, so that writers at work disturb nothing.
    """
    query = (
        select(AuditHead.length, AuditHead.digest.label("last"), *AuditEvent.__table__.columns)
        .select_from(Organization)
        .outerjoin(AuditHead, AuditHead.organization_id == Organization.id)
        .outerjoin(AuditEvent, AuditEvent.organization_id == Organization.id)
        .where(Organization.id == organization_id)
        .order_by(AuditEvent.seq)
        .execution_options(yield_per=BATCH)
    )
    with session.begin(), session.execute(query) as result:
        found = iter(result)
        first = next(found)
        end = (first.length or 0, first.last or chain.START)

        def rows() -> Iterator[chain.Row]:
            if first.seq is not None:
                yield audit.plain(first) | {"digest": first.digest}
            for row in found:
                yield audit.plain(row) | {"digest": row.digest}

        return chain.check(rows(), end, expected)


def _wanted(organization_id: UUID, wanted: Filter) -> Select[AuditEvent]:
    conditions: list[ColumnElement[bool]] = [AuditEvent.organization_id == organization_id]
    if wanted.after:
        conditions.append(AuditEvent.seq > wanted.after)
    if wanted.before is not None:
        conditions.append(AuditEvent.seq < wanted.before)
    if wanted.action:
        conditions.append(AuditEvent.action == wanted.action)
    if wanted.actor:
        label = func.lower(AuditEvent.actor_label)
        conditions.append(label.contains(wanted.actor.lower(), autoescape=True))
    if wanted.key_id is not None:
        key_id = str(wanted.key_id)
        acted = (AuditEvent.actor_kind == "key") & (AuditEvent.actor_id == key_id)
        conditions.append(or_(AuditEvent.subject_id == key_id, acted))
    if wanted.outcome is not None:
        conditions.append(AuditEvent.outcome == wanted.outcome)
    if wanted.since is not None:
        conditions.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEvent.at < wanted.until)
    return select(AuditEvent).where(*conditions)


def _names(session: Session, events: Sequence[AuditEvent]) -> Mapping[str, str]:
    """Return what the keys and people among the subjects are called."""
    names: dict[str, str] = {}
    for kind, table in (("key", Key), ("user", User)):
        ids = {UUID(one.subject_id) for one in events if one.subject_type == kind}
        found = session.execute(select(table.id, table.name).where(table.id.in_(ids)))
        names |= {str(row.id): row.name for row in found}
    return names
