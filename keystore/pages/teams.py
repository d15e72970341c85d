"""Teams, on the page of people: subscribers can ask for the meetings of some alone."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from keystore.access import actor, admin_only, services, the_visitor
from keystore.errors import BadName, KeystoreError, NameTaken, NoSuchPerson, NoSuchTeam
from keystore.pages.confirm import recent_sign_in
from keystore.pages.errors import calm

blueprint = Blueprint("teams", __name__, url_prefix="/settings/organization/people/teams")


@blueprint.post("/")
@admin_only
@recent_sign_in
def create() -> ResponseReturnValue:
    """Add a team."""
    try:
        with services().db.session() as db:
            team = services().teams.create(
                db,
                request.form.get("name", ""),
                organization_id=the_visitor().organization.id,
                actor=actor(),
            )
    except (BadName, NameTaken) as error:
        return _calm(error, HTTPStatus.UNPROCESSABLE_ENTITY)
    flash(f"The team {team.name} is there; say who is in it.")
    return _back()


@blueprint.post("/<uuid:team_id>/members/")
@admin_only
@recent_sign_in
def members(team_id: UUID) -> ResponseReturnValue:
    """Say who is in a team."""
    try:
        people = [UUID(text) for text in request.form.getlist("member")]
    except ValueError:
        return _calm(NoSuchPerson(), HTTPStatus.NOT_FOUND)
    try:
        with services().db.session() as db:
            team = services().teams.set_members(
                db,
                team_id,
                people,
                organization_id=the_visitor().organization.id,
                actor=actor(),
            )
    except (NoSuchTeam, NoSuchPerson) as error:
        return _calm(error, HTTPStatus.NOT_FOUND)
    flash(f"Saved who is in {team.name}.")
    return _back()


@blueprint.post("/<uuid:team_id>/delete/")
@admin_only
@recent_sign_in
def delete(team_id: UUID) -> ResponseReturnValue:
    """Delete a team."""
    try:
        with services().db.session() as db:
            team = services().teams.delete(
                db, team_id, organization_id=the_visitor().organization.id, actor=actor()
            )
    except NoSuchTeam as error:
        return _calm(error, HTTPStatus.NOT_FOUND)
    flash(f"The team {team.name} is deleted.")
    return _back()


def _back() -> Response:
    return redirect(url_for("people.index"), HTTPStatus.SEE_OTHER)


def _calm(error: KeystoreError, status: HTTPStatus) -> ResponseReturnValue:
    link = ("Back to the people", url_for("people.index"))
    return calm("That did not work", error.detail, status, link=link)
