"""Found a key somewhere? What a text opens, what was reported, and what is done about it."""

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, admin_only, services, the_visitor
from keystore.credentials import SecretValue
from keystore.errors import TooManyFailures
from keystore.leaks import Exposed
from keystore.pages.confirm import recent_sign_in
from keystore.pages.forms import ActForm, LeakPolicyForm, PasteForm
from keystore.rotation import LeakPolicy

blueprint = Blueprint("leaks", __name__, url_prefix="/settings/organization/developer/leaks")


@blueprint.get("/")
@admin_only
def index() -> ResponseReturnValue:
    """Offer the check, and show the policy and what was reported lately."""
    return _page(PasteForm())


@blueprint.post("/")
@admin_only
def check() -> ResponseReturnValue:
    """Say what of the organization's is in a text. The answer is shown here and kept nowhere."""
    form = PasteForm()
    if not form.validate_on_submit():
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    pasted, form.pasted.data = SecretValue(form.pasted.data or ""), ""
    try:
        found = _check(pasted)
    except TooManyFailures as error:
        form.pasted.errors = [error.detail]
        waiting = {"Retry-After": str(error.seconds)}
        return _page(form), HTTPStatus.TOO_MANY_REQUESTS, waiting
    return _page(form, found=found, is_checked=True)


@blueprint.route("/policy/", methods=["GET", "POST"])
@admin_only
@recent_sign_in
def policy() -> ResponseReturnValue:
    """Choose what is done when a secret was found in the open."""
    form, organization_id = LeakPolicyForm(), the_visitor().organization.id
    with services().db.session() as db:
        if form.validate_on_submit():
            services().leaks.set_policy(
                db,
                organization_id=organization_id,
                policy=LeakPolicy(form.policy.data),
                actor=actor(),
            )
            flash("Saved. It counts for what is reported from now on.")
            return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
        if not form.is_submitted():
            form.policy.data = services().leaks.policy(db, organization_id)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render_template("leaks/policy.html", form=form), status


def _check(pasted: SecretValue) -> list[Exposed]:
    """Check a text; one that holds nothing of theirs counts as a failed try of this person's."""
    person = the_visitor()
    with services().db.session() as db:
        # Counted for the person alone: their office's address is to go on signing in.
        attempt = services().throttle.begin(
            db, "leak check", address=None, device=str(person.user.id)
        )
        found = services().leaks.check(
            db, pasted, organization_id=person.organization.id, actor=actor()
        )
        if found:
            services().throttle.succeed(db, attempt)
    return list(found)


def _page(form: PasteForm, *, found: list[Exposed] | None = None, is_checked: bool = False) -> str:
    organization_id = the_visitor().organization.id
    with services().db.session() as db:
        chosen = services().leaks.policy(db, organization_id)
        reports = services().leaks.reports(db, organization_id)
    return render_template(
        "leaks/index.html",
        form=form,
        act=ActForm(),
        found=found or [],
        is_checked=is_checked,
        policy=chosen,
        takes_reports=services().leak_feed.is_on,
        reports=reports,
        state=services().keys.state,
    )
