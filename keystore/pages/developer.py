"""Settings -> Organization -> Developer: an admin's view of all keys, a member's of their own."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import (
    Blueprint,
    abort,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from keystore import scopes
from keystore.access import actor, keyholder, services, the_visitor
from keystore.errors import (
    BadName,
    GenerationConflict,
    KeyDisabled,
    KeyExpired,
    KeystoreError,
    NameMismatch,
    NameTaken,
)
from keystore.keys import Issued
from keystore.models import Key, Secret
from keystore.pages.confirm import recent_sign_in
from keystore.pages.errors import calm
from keystore.pages.forms import ActForm, DeleteForm, NameForm, RegenerateForm

blueprint = Blueprint("developer", __name__, url_prefix="/settings/organization/developer")

INVALID = HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/")
@keyholder
def index() -> ResponseReturnValue:
    """List the keys, or with `?show=deleted` what is left of those that were deleted."""
    keys, organization_id = services().keys, the_visitor().organization.id
    gone = request.args.get("show") == "deleted"
    with services().db.session() as db:
        listed = keys.list(db, organization_id, actor=actor(), deleted=gone)
        people = services().people.list(db, organization_id)
        used = services().uses.last(db, [key.id for key in listed])
    return render_template(
        "keys/index.html",
        keys=listed,
        people={person.id: person for person in people},
        used=used,
        state=keys.state,
        titles=scopes.TITLES,
        ends=services().expiries.soon,
        gone=gone,
    )


@blueprint.get("/keys/<uuid:key_id>/")
@keyholder
def show(key_id: UUID) -> ResponseReturnValue:
    """Show one key, without its secret. A reload of the page with the secret ends up here."""
    key = get(key_id)
    with services().db.session() as db:
        reports = services().leaks.reports(db, key.organization_id, key_id)
        rate = services().rates.of(db, key_id, organization_id=key.organization_id, actor=actor())
        people = services().people.list(db, key.organization_id)
    by_id = {person.id: person for person in people}
    return render_template(
        "keys/show.html",
        key=key,
        says=scopes.OPERATIONS,
        title=scopes.TITLES[key.data_scope],
        owner=key.owner_id and by_id.get(key.owner_id),
        maker=key.created_by and by_id.get(key.created_by),
        for_admins=frozenset(scopes.OPERATIONS) - scopes.OF_MEMBERS,
        secrets=_secrets(key),
        reports=reports,
        rate=rate,
        act=ActForm(),
        **connections(key),
    )


@blueprint.route("/keys/<uuid:key_id>/rename/", methods=["GET", "POST"])
@keyholder
def rename(key_id: UUID) -> ResponseReturnValue:
    """Change the name. The list's pencil posts here in the background and wants JSON."""
    form = NameForm()
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                key = services().keys.rename(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    name=form.name.data or "",
                    actor=actor(),
                )
        except (BadName, NameTaken) as error:
            _blame(form, error)
        else:
            if _wants_json():
                return jsonify(name=key.name)
            flash(f"Renamed to “{key.name}”. Its credentials stay as they were.")
            return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
    if form.errors and _wants_json():
        return jsonify(error=form.name.errors[0]), INVALID
    key = get(key_id)
    if not form.is_submitted():
        form.name.data = key.name
    return render_template("keys/rename.html", form=form, key=key), _status(form)


@blueprint.route("/keys/<uuid:key_id>/regenerate/", methods=["GET", "POST"])
@keyholder
@recent_sign_in
def regenerate(key_id: UUID) -> ResponseReturnValue:
    """Say what will happen; then replace the secret and show the new one in the answer."""
    form = RegenerateForm()
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                issued = services().keys.regenerate(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    generation=form.generation.data or 0,
                    actor=actor(),
                    overlap=form.overlap,
                )
        except (KeyExpired, KeyDisabled) as error:
            return calm(
                "Nothing was regenerated",
                error.detail,
                HTTPStatus.CONFLICT,
                link=("Go to the key", url_for(".show", key_id=key_id)),
            )
        except GenerationConflict:
            return calm(
                "Already regenerated",
                "This key's secret was regenerated after you opened that page, by you or by "
                "another admin. Nothing was changed this time. The newer secret was shown once, "
                "when it was made.",
                HTTPStatus.CONFLICT,
                link=("Go to the key", url_for(".show", key_id=key_id)),
            )
        return reveal(issued, HTTPStatus.OK)
    if form.errors:
        abort(HTTPStatus.BAD_REQUEST)
    key = get(key_id)
    form.generation.data = key.generation
    if request.args.get("how") == "compromised":
        form.how.data = "compromised"
    return render_template(
        "keys/regenerate.html", form=form, key=key, secrets=_secrets(key), **connections(key)
    )


@blueprint.route("/keys/<uuid:key_id>/delete/", methods=["GET", "POST"])
@keyholder
@recent_sign_in
def delete(key_id: UUID) -> ResponseReturnValue:
    """Ask for the name, then end the key for good."""
    form, key = DeleteForm(), get(key_id)
    if form.validate_on_submit():
        try:
            with services().db.session() as db:
                services().keys.delete(
                    db,
                    key_id,
                    organization_id=the_visitor().organization.id,
                    actor=actor(),
                    confirm_name=form.name.data or "",
                )
        except NameMismatch as error:
            _blame(form, error)
            form.name.data = ""  # it may be a secret, pasted into the wrong field
        else:
            flash(f"Deleted “{key.name}”. Its credentials have stopped working.")
            return redirect(url_for(".index"), HTTPStatus.SEE_OTHER)
    return render_template("keys/delete.html", form=form, key=key, **connections(key)), _status(
        form
    )


def connections(key: Key) -> dict[str, Any]:
    """Return what a person should know before ending a key or its secret: who would notice."""
    with services().db.session() as db:
        return {
            "state": services().keys.state(key),
            "uses": services().uses.of_key(db, key.id),
            "week": services().uses.last_week(db, key.id),
            "dependents": services().keys.dependents(db, key),
        }


def get(key_id: UUID) -> Key:
    """Return one of the organization's keys. Raises KeyNotFound."""
    organization_id = the_visitor().organization.id
    with services().db.session() as db:
        return services().keys.get(db, key_id, organization_id=organization_id, actor=actor())


def unchanged(key_id: UUID, detail: str) -> ResponseReturnValue:
    """Say why a key was left as it is."""
    return calm(
        "Nothing was changed",
        detail,
        HTTPStatus.CONFLICT,
        link=("Go to the key", url_for("developer.show", key_id=key_id)),
    )


def _secrets(key: Key) -> Sequence[Secret]:
    with services().db.session() as db:
        return services().keys.secrets(
            db, key.id, organization_id=key.organization_id, actor=actor()
        )


def reveal(issued: Issued, status: HTTPStatus) -> ResponseReturnValue:
    """Render the only page that ever holds a secret.

    No redirect, against the custom for forms: the secret would have to wait somewhere meanwhile.
    """
    return render_template("keys/reveal.html", key=issued.key, secret=issued.client_secret), status


def _blame(form: NameForm | DeleteForm, error: KeystoreError) -> None:
    form.name.errors = [*form.name.errors, error.detail]


def _status(form: NameForm | DeleteForm) -> HTTPStatus:
    return INVALID if form.errors else HTTPStatus.OK


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"
