"""Settings -> Organization -> Developer -> Audit log: who did what, when, and what was refused."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from keystore import trail
from keystore.access import admin_only, services, the_visitor
from keystore.db import GREATEST
from keystore.models import Outcome
from keystore.trail import Filter

FORMS: Mapping[str, tuple[trail.Format, str]] = {
    "csv": ("csv", "text/csv"),
    "jsonl": ("jsonl", "application/jsonl"),
}

#: What the page's filter holds.
ASKED = ("action", "actor", "key", "outcome", "from", "to")

blueprint = Blueprint(
    "audit_log", __name__, url_prefix="/settings/organization/developer/audit-log"
)

T = TypeVar("T")


@blueprint.get("/")
@admin_only
def index() -> ResponseReturnValue:
    """List what happened, newest first; `?before=` leads to an older page."""
    wanted, organization_id = _wanted(), the_visitor().organization.id
    with services().db.session() as db:
        page = trail.page(db, organization_id, wanted)
        actions = trail.actions(db, organization_id)
        keys = trail.keys(db, organization_id)
    return render_template(
        "audit/index.html",
        page=page,
        actions=actions,
        keys=keys,
        outcomes=Outcome,
        chosen={name: text for name, text in request.args.items() if name in ASKED and text},
        is_first=wanted.before is None,
    )


@blueprint.get("/export/<form>/")
@admin_only
def export(form: str) -> ResponseReturnValue:
    """Send what the filter lets through as a file, oldest first, while it is being read."""
    if form not in FORMS:
        abort(HTTPStatus.NOT_FOUND)
    shape, mimetype = FORMS[form]
    lines = trail.export(services().db.session, the_visitor().organization.id, shape, _wanted())
    answer = Response(lines, mimetype=mimetype)
    name = f"audit-log-{services().clock.now():%Y-%m-%d}.{form}"
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def _wanted() -> Filter:
    """Return what the address asks for; 400 for what cannot be meant."""
    until = _asked("to", date.fromisoformat)
    return Filter(
        action=_asked("action", _stored),
        actor=_asked("actor", _stored),
        key_id=_asked("key", UUID),
        outcome=_asked("outcome", Outcome),
        since=_midnight(_asked("from", date.fromisoformat)),
        until=_midnight(until, timedelta(days=1)),
        after=_asked("after", _seq) or 0,
        before=_asked("before", _seq),
    )


def _asked(name: str, read: Callable[[str], T]) -> T | None:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        return read(text)
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST)


def _stored(text: str) -> str:
    if "\x00" in text:
        raise ValueError("no database holds this")
    return text


def _seq(text: str) -> int:
    return min(max(int(text), 0), GREATEST)


def _midnight(day: date | None, later: timedelta = timedelta(0)) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + later
    except OverflowError:
        return None  # the last day there is: nothing comes after it
