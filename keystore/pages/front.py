"""The front door: getting in and out, and the static files of all pages."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from keystore import access
from keystore.credentials import SecretValue
from keystore.errors import TooManyFailures
from keystore.pages.forms import SignInForm

blueprint = Blueprint(
    "front",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/assets",
)

#: One sentence for both, so that nobody learns here who has an account.
WRONG = "E-mail or password is wrong."
INVALID = HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/")
@access.public
def start() -> ResponseReturnValue:
    """Lead to the developer page, the only thing there is to see."""
    return redirect(url_for("developer.index"), HTTPStatus.SEE_OTHER)


@blueprint.route("/sign-in/", methods=["GET", "POST"])
@access.public
def sign_in() -> ResponseReturnValue:
    """Ask who somebody is, and lead them to where they wanted to go."""
    target = access.safe_next(request.args.get("next")) or url_for("developer.index")
    if access.visitor() is not None:
        return redirect(target, HTTPStatus.SEE_OTHER)
    form = SignInForm()
    if not form.validate_on_submit():
        return _sign_in_page(form, None, INVALID if form.errors else HTTPStatus.OK)
    try:
        user = access.password_of(form.email.data or "", SecretValue(form.password.data or ""))
    except TooManyFailures as error:
        page, _ = _sign_in_page(form, error.detail, INVALID)
        return page, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(error.seconds)}
    if user is None:
        return _sign_in_page(form, WRONG, INVALID)
    if access.needs_code(user):
        access.begin_half(user)
        wanted = access.safe_next(request.args.get("next"))
        return redirect(url_for("second_factor.ask", next=wanted), HTTPStatus.SEE_OTHER)
    access.begin(user)
    return redirect(target, HTTPStatus.SEE_OTHER)


def _sign_in_page(
    form: SignInForm, failure: str | None, status: HTTPStatus
) -> tuple[str, HTTPStatus]:
    if failure is not None:
        form.take_another_password()
    return render_template("sign-in.html", form=form, failure=failure), status


@blueprint.post("/sign-out/")
@access.public
def sign_out() -> ResponseReturnValue:
    """End the sign-in; harmless for somebody who has none."""
    access.end()
    return redirect(url_for("front.sign_in"), HTTPStatus.SEE_OTHER)
