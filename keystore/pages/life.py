"""A key's life on the page: end an overlap, set an expiry, disable and enable."""

from collections.abc import Callable
from datetime import UTC
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, keyholder, services, the_visitor
from keystore.errors import BadExpiry, KeyExpired
from keystore.models import Key
from keystore.pages.developer import INVALID, blueprint, get, unchanged
from keystore.pages.forms import ActForm, ExpiryForm

__all__ = ["blueprint"]


@blueprint.post("/keys/<uuid:key_id>/finish/")
@keyholder
def finish(key_id: UUID) -> ResponseReturnValue:
    """End an overlap now."""
    return _act(key_id, services().keys.finish, "The old secret has stopped working.")


@blueprint.post("/keys/<uuid:key_id>/disable/")
@keyholder
def disable(key_id: UUID) -> ResponseReturnValue:
    """Put a key to sleep."""
    return _act(
        key_id, services().keys.disable, "Disabled. The key is refused until you enable it."
    )


@blueprint.post("/keys/<uuid:key_id>/enable/")
@keyholder
def enable(key_id: UUID) -> ResponseReturnValue:
    """Wake a key."""
    return _act(key_id, services().keys.enable, "Enabled. The key works again.")


@blueprint.route("/keys/<uuid:key_id>/expiry/", methods=["GET", "POST"])
@keyholder
def expiry(key_id: UUID) -> ResponseReturnValue:
    """Let a key end at a moment, or never."""
    form, key = ExpiryForm(), get(key_id)
    if form.validate_on_submit():
        chosen = form.expires_at.data
        try:
            with services().db.session() as db:
                services().keys.set_expiry(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    expires_at=chosen and chosen.replace(tzinfo=UTC),
                    actor=actor(),
                )
        except BadExpiry as error:
            form.expires_at.errors = [error.detail]
        except KeyExpired as error:
            return unchanged(key_id, error.detail)
        else:
            flash("The expiry was changed." if chosen else "The key does not expire.")
            return redirect(url_for(".show", key_id=key_id), HTTPStatus.SEE_OTHER)
    if not form.is_submitted() and key.expires_at is not None:
        form.expires_at.data = key.expires_at.replace(tzinfo=None)
    status = INVALID if form.errors or form.expires_at.errors else HTTPStatus.OK
    return render_template("keys/expiry.html", form=form, key=key), status


def _act(key_id: UUID, change: Callable[..., Key], said: str) -> ResponseReturnValue:
    if not ActForm().validate_on_submit():
        abort(HTTPStatus.BAD_REQUEST)
    where: dict[str, Any] = {"organization_id": the_visitor().organization.id, "actor": actor()}
    try:
        with services().db.session() as db:
            change(db, key_id, **where)
    except KeyExpired as error:
        return unchanged(key_id, error.detail)
    flash(said)
    return redirect(url_for(".show", key_id=key_id), HTTPStatus.SEE_OTHER)
