"""Settings -> Your account: what belongs to the person who is signed in."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, password_of, services, signed_in, the_visitor
from keystore.credentials import SecretValue
from keystore.errors import AccountError, SignInOver, TooManyFailures
from keystore.knocks import Kind
from keystore.pages.forms import PasswordForm

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


@blueprint.route("/password/", methods=["GET", "POST"])
@signed_in
def password() -> ResponseReturnValue:
    """Change one's own password; the present one has to be shown, however recent the sign-in."""
    form, person, failure = PasswordForm(), the_visitor(), None
    status, waiting = HTTPStatus.OK, {}
    if form.validate_on_submit():
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        try:
            present = SecretValue(form.present.data or "")
            shown = password_of(person.user.email, present, Kind.NEW_PASSWORD)
            if shown is None:
                form.present.errors = ["That is not your present password."]
            else:
                with services().db.session() as db:
                    services().people.change_password(
                        db,
                        shown,
                        SecretValue(form.new.data or ""),
                        kept=person.sign_in,
                        actor=actor(),
                    )
                flash("Your password is changed. All other browsers are signed out.")
                return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
        except AccountError as error:
            form.new.errors = [error.detail]
        except SignInOver as error:
            failure, status = error.detail, HTTPStatus.CONFLICT
        except TooManyFailures as error:
            failure, status = error.detail, HTTPStatus.TOO_MANY_REQUESTS
            waiting = {"Retry-After": str(error.seconds)}
    elif form.errors:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return render_template("account/password.html", form=form, failure=failure), status, waiting


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
