"""Settings -> Your account: what belongs to the person who is signed in."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, services, signed_in, the_visitor

blueprint = Blueprint("account", __name__, url_prefix="/settings/account")


@blueprint.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """Show where the person is signed in."""
    with services().db.session() as db:
        listed = services().sessions.list(db, the_visitor().user)
        has_factor = services().second_factor.is_on(db, the_visitor().user.id)
    return render_template(
        "account/index.html",
        sign_ins=listed,
        this=the_visitor().sign_in,
        has_factor=has_factor,
    )


@blueprint.post("/sessions/<uuid:sign_in_id>/end/")
@signed_in
def end_session(sign_in_id: UUID) -> ResponseReturnValue:
    """End one sign-in of one's own."""
    with services().db.session() as db:
        ended = services().sessions.end(db, the_visitor().user, sign_in_id, actor())
    flash("That browser is signed out." if ended else "That sign-in was over already.")
    return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/sessions/end-others/")
@signed_in
def end_other_sessions() -> ResponseReturnValue:
    """End every sign-in of one's own but this one."""
    person = the_visitor()
    with services().db.session() as db:
        services().sessions.end_others(db, person.user, person.sign_in, actor())
    flash("All other browsers are signed out.")
    return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
