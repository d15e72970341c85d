"""What keys may do, on the page: add one, change its scopes, its networks, the say of members."""

from datetime import UTC
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from keystore import networks, scopes
from keystore.access import actor, admin_only, keyholder, services, the_visitor
from keystore.errors import (
    AlreadyDone,
    BadExpiry,
    BadName,
    BadNetworks,
    BadScopes,
    KeyExpired,
    NameTaken,
)
from keystore.keys import Issued
from keystore.models import Key, Role
from keystore.pages.confirm import recent_sign_in
from keystore.pages.developer import INVALID, get, reveal, unchanged
from keystore.pages.grant_forms import AddKeyForm, GrantForm, MembersForm, NetworksForm
from keystore.scopes import Owner, Reach

blueprint = Blueprint("grants", __name__, url_prefix="/settings/organization/developer")


@blueprint.route("/keys/new/", methods=["GET", "POST"])
@keyholder
@recent_sign_in
def add() -> ResponseReturnValue:
    """Ask what the key is for, make it, and show its secret in the very answer to the form."""
    form = AddKeyForm()
    _offer(form)
    reach = None
    if form.validate_on_submit():
        if form.trial.data:
            reach = _reach(form)
        else:
            try:
                return reveal(_create(form), HTTPStatus.CREATED)
            except AlreadyDone:
                # The form was sent twice. The key's own page says what can be done now.
                address = url_for("developer.show", key_id=UUID(form.key_id.data))
                return redirect(address, HTTPStatus.SEE_OTHER)
            except (BadName, NameTaken) as error:
                form.name.errors = [error.detail]
            except BadExpiry as error:
                form.expires_at.errors = [error.detail]
            except BadNetworks as error:
                form.networks.errors = [error.detail]
    if form.key_id.errors:
        abort(HTTPStatus.BAD_REQUEST)
    page = render_template("keys/add.html", form=form, reach=reach, **_choices())
    return page, INVALID if form.errors else HTTPStatus.OK


@blueprint.route("/keys/<uuid:key_id>/scopes/", methods=["GET", "POST"])
@keyholder
@recent_sign_in
def rescope(key_id: UUID) -> ResponseReturnValue:
    """Change what a key may do and see; its credential stays. “Try” saves nothing."""
    form, key, reach = GrantForm(), get(key_id), None
    _offer(form, key)
    if form.validate_on_submit():
        if form.trial.data:
            reach = _reach(form)
        else:
            try:
                with services().db.session() as db:
                    services().grants.rescope(
                        db,
                        key_id,
                        organization_id=the_visitor().organization.id,
                        granted=form.granted,
                        data=form.data_scope,
                        owner_id=form.owner_id,
                        actor=actor(),
                    )
            except BadScopes as error:
                form.data.errors = [error.detail]
            except KeyExpired as error:
                return unchanged(key_id, error.detail)
            else:
                flash("The scopes were changed. The credential stays as it is.")
                return redirect(url_for("developer.show", key_id=key_id), HTTPStatus.SEE_OTHER)
    page = render_template("keys/scopes.html", form=form, key=key, reach=reach, **_choices())
    return page, INVALID if form.errors else HTTPStatus.OK


@blueprint.route("/keys/<uuid:key_id>/networks/", methods=["GET", "POST"])
@keyholder
@recent_sign_in
def allow_list(key_id: UUID) -> ResponseReturnValue:
    """Say from which networks a key may be used."""
    form, key = NetworksForm(), get(key_id)
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                changed = services().grants.set_networks(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    allowed=form.networks.lines,
                    actor=actor(),
                )
        except BadNetworks as error:
            form.networks.errors = [error.detail]
        except KeyExpired as error:
            return unchanged(key_id, error.detail)
        else:
            flash(
                "The networks were saved."
                if changed.networks
                else "The key can be used from anywhere."
            )
            for address in _shut_out(changed):
                flash(f"It was last used from {address}, which is in none of them: refused now.")
            return redirect(url_for("developer.show", key_id=key_id), HTTPStatus.SEE_OTHER)
    if not form.is_submitted():
        form.networks.data = "\n".join(key.networks or ())
    page = render_template(
        "keys/networks.html",
        form=form,
        key=key,
        here=request.remote_addr,
        used_from=_used_from(key),
    )
    return page, INVALID if form.networks.errors else HTTPStatus.OK


@blueprint.route("/members/", methods=["GET", "POST"])
@admin_only
@recent_sign_in
def members() -> ResponseReturnValue:
    """Say whether members may have keys of their own."""
    form, organization = MembersForm(), the_visitor().organization
    if form.validate_on_submit():
        with services().db.session() as db:
            services().members.set_policy(
                db, organization_id=organization.id, allowed=form.allowed.data, actor=actor()
            )
        flash(f"Members may {'make' if form.allowed.data else 'not make'} personal keys.")
        return redirect(url_for("developer.index"), HTTPStatus.SEE_OTHER)
    if not form.is_submitted():
        form.allowed.data = organization.members_make_keys
    with services().db.session() as db:
        count = services().members.count_keys(db, organization.id)
    return render_template("keys/members.html", form=form, count=count)


def _offer(form: GrantForm, present: Key | None = None) -> None:
    person = the_visitor()
    with services().db.session() as db:
        people = services().people.list(db, person.organization.id)
    form.offer(people, person.user, present=present)


def _create(form: AddKeyForm) -> Issued:
    ends = form.expires_at.data
    with services().db.session() as db:
        return services().keys.create(
            db,
            organization_id=the_visitor().organization.id,
            name=form.name.data or "",
            granted=form.granted,
            data=form.data_scope,
            owner_id=form.owner_id,
            expires_at=ends and ends.replace(tzinfo=UTC),
            allowed=form.networks.lines,
            created_by=the_visitor().user.id,
            key_id=UUID(form.key_id.data),
            actor=actor(),
        )


def _reach(form: GrantForm) -> Reach:
    """Return how much a key with this choice would see."""
    person = form.owner
    owner = person and Owner(person.email, person.role is Role.ADMIN, person.is_active)
    rights = scopes.rights(form.granted, form.data_scope, owner)
    if rights is None:
        return Reach(0, 0)
    with services().db.session() as db:
        return services().reach(db, the_visitor().organization.id, rights)


def _choices() -> dict[str, object]:
    """Return the words for what a form offers."""
    return {
        "presets": scopes.PRESETS,
        "says": scopes.OPERATIONS,
        "sees": {one.value: line for one, (_, line) in scopes.TITLES.items()},
    }


def _used_from(key: Key) -> list[str]:
    with services().db.session() as db:
        return [use.address for use in services().uses.of_key(db, key.id) if use.address]


def _shut_out(key: Key) -> list[str]:
    """Return from where a key was last used that its networks do not let in."""
    allowed = tuple(key.networks or ())
    return [one for one in _used_from(key) if allowed and not networks.allow(allowed, one)]
