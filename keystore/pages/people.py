"""Settings -> Organization -> People: who may sign in, and as what; for admins."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from keystore.access import actor, admin_only, services, the_visitor
from keystore.errors import LastAdmin, NotOneself
from keystore.models import Role
from keystore.pages.confirm import recent_sign_in
from keystore.pages.errors import calm
from keystore.pages.forms import InviteForm

blueprint = Blueprint("people", __name__, url_prefix="/settings/organization/people")

CHANGES = {"admin", "member", "deactivate", "activate", "reset-second-factor"}


@blueprint.get("/")
@admin_only
def index() -> ResponseReturnValue:
    """List everybody."""
    return people_page(InviteForm())


def people_page(form: InviteForm, status: int = HTTPStatus.OK) -> ResponseReturnValue:
    """Render everybody, with the form of an invitation."""
    organization_id = the_visitor().organization.id
    with services().db.session() as db:
        listed = services().people.list(db, organization_id)
        invited = services().invitations.list(db, organization_id)
        factors = services().second_factor.used_by(db, organization_id)
        teams = services().teams.list(db, organization_id)
    page = render_template(
        "people.html",
        people=listed,
        invited=invited,
        factors=factors,
        teams=teams,
        form=form,
        now=services().clock.now(),
    )
    return page, status


@blueprint.get("/<uuid:user_id>/deactivate/")
@admin_only
def leaving(user_id: UUID) -> ResponseReturnValue:
    """Say what becomes of somebody's keys before they are deactivated."""
    with services().db.session() as db:
        stake = services().members.stake(db, user_id, organization_id=the_visitor().organization.id)
    return render_template("leaving.html", stake=stake)


@blueprint.post("/<uuid:user_id>/<change>/")
@admin_only
@recent_sign_in
def change(user_id: UUID, change: str) -> ResponseReturnValue:
    """Change what somebody may do."""
    if change not in CHANGES:
        abort(HTTPStatus.NOT_FOUND)
    people, organization_id = services().people, the_visitor().organization.id
    try:
        with services().db.session() as db:
            if change == "deactivate":
                user = people.deactivate(
                    db, user_id, organization_id=organization_id, actor=actor()
                )
                said = f"{user.name} can't sign in any more."
            elif change == "activate":
                user = people.activate(db, user_id, organization_id=organization_id, actor=actor())
                said = f"{user.name} can sign in again."
            elif change == "reset-second-factor":
                was_on = people.reset_second_factor(
                    db,
                    user_id,
                    organization_id=organization_id,
                    admin=the_visitor().user,
                    actor=actor(),
                )
                said = "The second factor is off." if was_on else "The second factor was off."
            else:
                user = people.change_role(
                    db, user_id, Role(change), organization_id=organization_id, actor=actor()
                )
                said = f"{user.name} is {'an admin' if user.role is Role.ADMIN else 'a member'}."
    except LastAdmin as error:
        return calm(
            "Somebody has to stay admin",
            error.detail,
            HTTPStatus.CONFLICT,
            link=("Back to the people", url_for(".index")),
        )
    except NotOneself as error:
        return calm(
            "Ask another admin",
            error.detail,
            HTTPStatus.CONFLICT,
            link=("Your account", url_for("account.index")),
        )
    flash(said)
    return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
