"""How often a key may call, on the page: its limit, planned spikes, the organization's limit."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import Field

from keystore.access import actor, admin_only, services, the_visitor
from keystore.errors import BadLimit, BadSpike, KeyExpired, SpikeNotFound
from keystore.pages.developer import INVALID, get
from keystore.pages.errors import calm
from keystore.pages.forms import ActForm, LimitForm, SpikeForm

blueprint = Blueprint("rates", __name__, url_prefix="/settings/organization/developer")


@blueprint.route("/limit/", methods=["GET", "POST"])
@admin_only
def default() -> ResponseReturnValue:
    """Say how often those keys may call that have no limit of their own."""
    form, organization = LimitForm(), the_visitor().organization
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                services().rates.set_default(
                    db, organization_id=organization.id, limit=form.limit.data, actor=actor()
                )
        except BadLimit as error:
            form.limit.errors = [error.detail]
        else:
            flash("Saved. It counts for every key without a limit of its own.")
            return redirect(url_for("developer.index"), HTTPStatus.SEE_OTHER)
    if not form.is_submitted():
        form.limit.data = organization.rate_limit
    installed = services().rates.default
    page = render_template("rates/default.html", form=form, installed=installed)
    return page, _status(form)


@blueprint.route("/keys/<uuid:key_id>/limit/", methods=["GET", "POST"])
@admin_only
def limit(key_id: UUID) -> ResponseReturnValue:
    """Show what a key may do, what of it is used, and what is planned; change its limit."""
    form, key = LimitForm(), get(key_id)
    where: dict[str, Any] = {"organization_id": the_visitor().organization.id, "actor": actor()}
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                services().rates.set_limit(db, key_id, limit=form.limit.data, **where)
        except BadLimit as error:
            form.limit.errors = [error.detail]
        except KeyExpired as error:
            return _refused(key_id, error.detail)
        else:
            flash("Saved. The new limit counts from now on.")
            return redirect(url_for(".limit", key_id=key_id), HTTPStatus.SEE_OTHER)
    if not form.is_submitted():
        form.limit.data = key.rate_limit
    with services().db.session() as db:
        rate = services().rates.of(db, key_id, **where)
    used = services().limits.used(key_id)
    page = render_template(
        "rates/limit.html", form=form, key=key, rate=rate, used=used, act=ActForm()
    )
    return page, _status(form)


@blueprint.route("/keys/<uuid:key_id>/spikes/new/", methods=["GET", "POST"])
@admin_only
def plan(key_id: UUID) -> ResponseReturnValue:
    """Plan a time with a higher limit."""
    form, key = SpikeForm(), get(key_id)
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                services().rates.plan(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    starts_at=_utc(form.starts_at),
                    ends_at=_utc(form.ends_at),
                    limit=form.rate_limit.data or 0,
                    reason=form.reason.data or "",
                    actor=actor(),
                    created_by=the_visitor().user.id,
                )
        except BadSpike as error:
            form[error.field].errors = [error.detail]
        except KeyExpired as error:
            return _refused(key_id, error.detail)
        else:
            flash("Planned. It begins and ends by itself.")
            return redirect(url_for(".limit", key_id=key_id), HTTPStatus.SEE_OTHER)
    if not form.is_submitted():
        form.starts_at.data = services().clock.now().replace(tzinfo=None, second=0, microsecond=0)
    return render_template("rates/spike.html", form=form, key=key), _status(form)


@blueprint.post("/keys/<uuid:key_id>/spikes/<uuid:spike_id>/cancel/")
@admin_only
def cancel(key_id: UUID, spike_id: UUID) -> ResponseReturnValue:
    """Drop a planned spike, or end one that is running."""
    if not ActForm().validate_on_submit():
        abort(HTTPStatus.BAD_REQUEST)
    try:
        with services().db.session() as db:
            services().rates.cancel(
                db,
                key_id,
                organization_id=the_visitor().organization.id,
                spike_id=spike_id,
                actor=actor(),
            )
    except SpikeNotFound as error:
        return _refused(key_id, error.detail)
    flash("Cancelled. The key has its usual limit.")
    return redirect(url_for(".limit", key_id=key_id), HTTPStatus.SEE_OTHER)


def _utc(required: Field) -> datetime:
    moment: datetime = required.data
    return moment.replace(tzinfo=UTC)


def _status(form: LimitForm | SpikeForm) -> HTTPStatus:
    return INVALID if any(field.errors for field in form) else HTTPStatus.OK


def _refused(key_id: UUID, detail: str) -> ResponseReturnValue:
    return calm(
        "Nothing was changed",
        detail,
        HTTPStatus.CONFLICT,
        link=("Go to the limit", url_for(".limit", key_id=key_id)),
    )
