"""A forgotten password: asking for a link, and choosing a new password with it."""

from http import HTTPStatus

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from keystore import access
from keystore.access import public, services
from keystore.credentials import SecretValue
from keystore.errors import AccountError, LinkOver, TooManyFailures
from keystore.pages import mailing
from keystore.pages.errors import calm
from keystore.pages.forms import EmailForm, NewPasswordForm

blueprint = Blueprint("forgotten", __name__, url_prefix="/sign-in")

INVALID = HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.route("/forgotten/", methods=["GET", "POST"])
@public
def ask() -> ResponseReturnValue:
    """Have a link sent; whether the address is anybody's, this page does not know itself."""
    if not mailing.is_set_up():
        return calm(
            "This server sends no mail",
            "So it cannot send you a link for a new password. Whoever runs it sets "
            "KEYHOOK_SMTP_URL and KEYHOOK_MAIL_FROM; then it can.",
            HTTPStatus.OK,
            link=("Back to signing in", url_for("front.sign_in")),
        )
    form, failure, status = EmailForm(), None, HTTPStatus.OK
    waiting: dict[str, str] = {}
    if form.validate_on_submit():
        try:
            access.forget_password(form.email.data or "")
            return render_template("forgotten-sent.html", email=form.email.data)
        except TooManyFailures as error:
            failure, status = error.detail, HTTPStatus.TOO_MANY_REQUESTS
            waiting["Retry-After"] = str(error.seconds)
    elif form.errors:
        status = INVALID
    return render_template("forgotten.html", form=form, failure=failure), status, waiting


@blueprint.route("/new-password/<token>/", methods=["GET", "POST"])
@public
def choose(token: str) -> ResponseReturnValue:
    """Replace the password. Opening the page uses nothing up: programs open links in mails, too."""
    form = NewPasswordForm()
    try:
        with services().db.session() as db:
            if form.validate_on_submit() and _changed(db, token, form):
                return calm(
                    "Your password is changed",
                    "All browsers in which you were signed in are signed out. Sign in with your "
                    "new password.",
                    HTTPStatus.OK,
                    link=("Sign in", url_for("front.sign_in")),
                )
            user = services().resets.find(db, token)
    except LinkOver as error:
        return calm(
            "This link is over",
            f"{error.detail} It was used, your password has changed since, or its hour is over.",
            HTTPStatus.GONE,
            link=("Ask for another link", url_for(".ask")),
        )
    status = INVALID if form.errors else HTTPStatus.OK
    return render_template("new-password.html", form=form, user=user), status


def _changed(db: Session, token: str, form: NewPasswordForm) -> bool:
    """Use the link; tell whether the password would do. Raises LinkOver."""
    try:
        services().resets.use(
            db,
            token,
            SecretValue(form.new.data or ""),
            address=request.remote_addr,
            agent=request.headers.get("User-Agent"),
        )
    except AccountError as error:
        form.new.errors = [error.detail]
        return False
    return True
