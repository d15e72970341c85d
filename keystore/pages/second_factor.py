"""Settings -> Your account -> Second factor, and the page that asks for a code at the door."""

from collections.abc import Sequence
from http import HTTPStatus

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from keystore import access, one_time_codes
from keystore.access import actor, services, signed_in, the_visitor
from keystore.credentials import SecretValue
from keystore.errors import AlreadyDone, TooManyFailures, WrongCode
from keystore.pages.confirm import recent_sign_in
from keystore.pages.forms import CodeForm

blueprint = Blueprint("second_factor", __name__)

ISSUER = "Keyhook"
INVALID = HTTPStatus.UNPROCESSABLE_ENTITY
WRONG = "That code is not right, or was used before. Wait for the next one and try again."


@blueprint.route("/sign-in/code/", methods=["GET", "POST"])
@access.public
def ask() -> ResponseReturnValue:
    """Ask somebody whose password was right for a code."""
    target = access.safe_next(request.args.get("next")) or url_for("front.start")
    user = access.half_signed_in()
    if user is None:
        return redirect(url_for("front.sign_in", next=request.args.get("next")), 303)
    form, failure, status = CodeForm(), None, HTTPStatus.OK
    waiting: dict[str, str] = {}
    if form.validate_on_submit():
        try:
            if access.code_of(user, form.code.data or ""):
                access.begin(user)
                return redirect(target, HTTPStatus.SEE_OTHER)
            failure, status = WRONG, INVALID
        except TooManyFailures as error:
            failure, status = error.detail, HTTPStatus.TOO_MANY_REQUESTS
            waiting["Retry-After"] = str(error.seconds)
    elif form.errors:
        status = INVALID
    form.code.data = ""
    return render_template("code.html", form=form, failure=failure), status, waiting


@blueprint.route("/settings/account/second-factor/", methods=["GET", "POST"])
@signed_in
@recent_sign_in
def index() -> ResponseReturnValue:
    """Show the secret for the app and turn the factor on; or, when it is on, what can be done."""
    user, form = the_visitor().user, CodeForm()
    try:
        with services().db.session() as db:
            secret = services().second_factor.prepare(db, user)
            if form.validate_on_submit():
                codes = services().second_factor.turn_on(db, user, form.code.data or "", actor())
                return _show_codes(codes)
    except AlreadyDone:
        with services().db.session() as db:
            left = services().second_factor.recovery_codes_left(db, user.id)
        return render_template("account/second-factor-on.html", left=left)
    except WrongCode as error:
        form.code.errors = [error.detail]
    form.code.data = ""
    page = render_template(
        "account/second-factor.html", form=form, secret=secret, picture=_picture(secret, user.email)
    )
    return page, INVALID if form.errors else HTTPStatus.OK


@blueprint.post("/settings/account/second-factor/recovery-codes/")
@signed_in
@recent_sign_in
def renew_recovery_codes() -> ResponseReturnValue:
    """Replace the recovery codes and show the new ones in the very answer."""
    try:
        with services().db.session() as db:
            codes = services().second_factor.renew_recovery_codes(db, the_visitor().user, actor())
    except WrongCode as error:
        flash(error.detail)
        return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
    return _show_codes(codes)


@blueprint.post("/settings/account/second-factor/turn-off/")
@signed_in
@recent_sign_in
def turn_off() -> ResponseReturnValue:
    """Demand no codes any more."""
    with services().db.session() as db:
        services().second_factor.turn_off(db, the_visitor().user, actor())
    flash("The second factor is off. Your password alone signs you in.")
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


def _show_codes(codes: Sequence[SecretValue]) -> ResponseReturnValue:
    return render_template("account/recovery-codes.html", codes=codes)


def _picture(secret: SecretValue, account: str) -> Markup:
    """Return the QR code as an SVG element without any style, as the policy has it."""
    address = one_time_codes.address(secret, issuer=ISSUER, account=account)
    drawn = segno.make(address.reveal(), error="m", micro=False)
    # On white in the dark, too: not every camera reads an inverted code.
    return Markup(  # noqa: S704 - segno's own drawing; the address is in it as dots alone
        drawn.svg_inline(scale=4, dark="#000", light="#fff", omitsize=True, svgclass="qr-code")
    )
