"""Inviting people, on the page of people; and the page where who was invited comes in."""

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from keystore import access
from keystore.access import actor, admin_only, public, services, the_visitor
from keystore.credentials import SecretValue
from keystore.errors import AccountError, BadMail, BadName, LinkOver, NoSuchInvitation
from keystore.models import Role, User
from keystore.pages import mailing
from keystore.pages.confirm import recent_sign_in
from keystore.pages.errors import calm
from keystore.pages.forms import AcceptForm, InviteForm
from keystore.pages.people import people_page

blueprint = Blueprint("invitations", __name__)

PEOPLE = "/settings/organization/people/invitations"
INVALID = HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.post(f"{PEOPLE}/")
@admin_only
@recent_sign_in
def invite() -> ResponseReturnValue:
    """Send an invitation."""
    form, person = InviteForm(), the_visitor()
    if not mailing.is_set_up():
        return _no_mail()
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                invitation = services().invitations.invite(
                    db,
                    organization_id=person.organization.id,
                    email=form.email.data or "",
                    role=Role(form.role.data),
                    inviter=person.user.name,
                    actor=actor(),
                )
        except (AccountError, BadMail) as error:
            form.email.errors = [error.detail]
        else:
            return _sent(invitation.email)
    return people_page(form, INVALID)


@blueprint.post(f"{PEOPLE}/<uuid:invitation_id>/send-again/")
@admin_only
@recent_sign_in
def send_again(invitation_id: UUID) -> ResponseReturnValue:
    """Send a new link; the old one ends."""
    person = the_visitor()
    if not mailing.is_set_up():
        return _no_mail()
    try:
        with services().db.session() as db:
            invitation = services().invitations.send_again(
                db,
                invitation_id,
                organization_id=person.organization.id,
                inviter=person.user.name,
                actor=actor(),
            )
    except NoSuchInvitation as error:
        return _gone(error)
    return _sent(invitation.email)


@blueprint.post(f"{PEOPLE}/<uuid:invitation_id>/withdraw/")
@admin_only
@recent_sign_in
def withdraw(invitation_id: UUID) -> ResponseReturnValue:
    """End an invitation."""
    try:
        with services().db.session() as db:
            invitation = services().invitations.withdraw(
                db, invitation_id, organization_id=the_visitor().organization.id, actor=actor()
            )
    except NoSuchInvitation as error:
        return _gone(error)
    flash(f"The invitation of {invitation.email} is withdrawn; its link does not work any more.")
    return redirect(url_for("people.index"), HTTPStatus.SEE_OTHER)


@blueprint.route("/invitation/<token>/", methods=["GET", "POST"])
@public
def accept(token: str) -> ResponseReturnValue:
    """Ask who was invited for a name and a password, and let them in.

    Opening the page uses nothing up: programs that check mails open links, too.
    """
    form = AcceptForm()
    try:
        with services().db.session() as db:
            if form.validate_on_submit() and (user := _accepted(db, token, form)) is not None:
                access.begin(user)
                return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)
            invitation, organization = services().invitations.find(db, token)
    except LinkOver as error:
        return calm(
            "This invitation is over",
            f"{error.detail} It was used, replaced by a newer one or withdrawn, or its seven days "
            "are over. Ask whoever invited you for another one.",
            HTTPStatus.GONE,
            link=("Sign in", url_for("front.sign_in")),
        )
    page = render_template(
        "invitation.html", form=form, invitation=invitation, organization=organization
    )
    return page, INVALID if form.errors else HTTPStatus.OK


def _accepted(db: Session, token: str, form: AcceptForm) -> User | None:
    """Make the account; None when what was typed would not do. Raises LinkOver."""
    try:
        return services().invitations.accept(
            db,
            token,
            name=form.name.data or "",
            password=SecretValue(form.new.data or ""),
            address=request.remote_addr,
            agent=request.headers.get("User-Agent"),
        )
    except BadName as error:
        form.name.errors = [error.detail]
    except AccountError as error:
        form.new.errors = [error.detail]
    return None


def _sent(email: str) -> ResponseReturnValue:
    said = Markup("An invitation is on its way to {}.").format(email)
    where = mailing.page()
    if where is not None:
        said += Markup(' <a href="{}">Look at the mails</a>').format(where)
    flash(said)
    return redirect(url_for("people.index"), HTTPStatus.SEE_OTHER)


def _gone(error: NoSuchInvitation) -> ResponseReturnValue:
    return calm(
        "This invitation is not open any more",
        error.detail,
        HTTPStatus.CONFLICT,
        link=("Back to the people", url_for("people.index")),
    )


def _no_mail() -> ResponseReturnValue:
    return calm(
        "Mail is not set up",
        "Nobody was invited. Whoever runs this server sets KEYHOOK_SMTP_URL and "
        "KEYHOOK_MAIL_FROM; then invitations can be sent.",
        HTTPStatus.CONFLICT,
        link=("Back to the people", url_for("people.index")),
    )
