"""Subscriptions: who wants which event where. Platforms call this when a flow goes on or off."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import webhook_fields
from connector.api.key_fields import Fields
from connector.meetings.fields import as_uuid
from connector.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from keystore import access
from keystore.credentials import SecretValue
from webhooks import services
from webhooks.errors import (
    AlreadyRecovering,
    BadChoice,
    Busy,
    DeliveryNotFound,
    KeyEnded,
    RecoveryNotFound,
    RightsLacking,
    ScopeLacking,
    SubscriptionEnded,
    SubscriptionNotFound,
    SwitchedOff,
    TooSoon,
    WebhooksError,
)
from webhooks.models import Subscription

bp = Blueprint("webhooks", __name__)


@bp.get("/webhooks/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def index() -> ResponseReturnValue:
    """List active subscriptions, newest first: the organization's, or a personal key's own."""
    service = services.hooks().subscriptions
    with access.services().db.session() as session:
        found = service.list(session, auth.principal().organization_id, only_of=only_of())
        teams = service.teams(session, found)
    results = [webhook_fields.shape(one, teams.get(one.id, ())) for one in found]
    return jsonify({"count": len(found), "results": results})


@bp.post("/webhooks/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def subscribe() -> ResponseReturnValue:
    """Subscribe one URL to one event type or several.

    201 with `Location` (Power Automate unsubscribes there) and `id` (Zapier keeps it). The signing
    secret is in this answer and in no other. Where the contract is silent we are lenient: any
    event type goes with either target type.
    """
    wish = webhook_fields.new()
    with refusing(), access.services().db.session() as session:
        made = services.hooks().subscriptions.subscribe(
            session,
            organization_id=auth.principal().organization_id,
            key_id=auth.principal().key_id,
            event_type=wish.event_types,
            target_url=wish.target_url,
            target_type=wish.target_type,
            operations=auth.principal().scopes,
            actor=auth.actor(),
            chosen=wish.chosen,
            scheme=wish.scheme,
            verify=wish.verify,
        )
    answer = shown(made.subscription, made.signing_secret)
    answer.status_code = HTTPStatus.CREATED
    address = url_for("api.webhooks.show", subscription_id=made.subscription.id)
    answer.headers["Location"] = access.services().settings.base_url + address
    return answer


@bp.get("/webhooks/<subscription_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def show(subscription_id: str) -> ResponseReturnValue:
    """Return one subscription, also when it has ended."""
    with refusing(), access.services().db.session() as session:
        found = services.hooks().subscriptions.get(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            only_of=only_of(),
        )
    return shown(found)


@bp.patch("/webhooks/<subscription_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def change(subscription_id: str) -> ResponseReturnValue:
    """Change what was chosen of a subscription, whole field by whole field; 200 with all of it.

    The calling key must be able to see all that the subscription's key sees.
    """
    wish = webhook_fields.changed()
    with refusing(), access.services().db.session() as session:
        found = services.hooks().subscriptions.change(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            caller=auth.principal().rights,
            actor=auth.actor(),
            only_of=only_of(),
            event_types=wish.event_types,
            target_url=wish.target_url,
            chosen=wish.chosen,
        )
    return shown(found)


@bp.delete("/webhooks/<subscription_id>/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def unsubscribe(subscription_id: str) -> ResponseReturnValue:
    """End a subscription; again and again the same answer.

    200 with the subscription, as Zapier's shorthand requests cannot read an empty 204.
    """
    with refusing(), access.services().db.session() as session:
        ended = services.hooks().subscriptions.unsubscribe(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
        )
    return shown(ended)


@bp.post("/webhooks/<subscription_id>/test/", strict_slashes=False)
@auth.scoped("webhooks:manage")
def try_out(subscription_id: str) -> ResponseReturnValue:
    """Send a made-up event at once; 200 with what was sent and what came back, whatever it was.

    `{"event_type": "AINOTE"}`: that one's sample, else `test.ping`. It is no delivery: it is in no
    log and never tried again.
    """
    fields = Fields(webhook_fields.optional_body(), frozenset({"event_type"}))
    event_type = fields.text("event_type") if "event_type" in fields else None
    fields.check()
    with refusing(), access.services().db.session() as session:
        trial = services.hooks().trials.send(
            session,
            uuid(subscription_id),
            organization_id=auth.principal().organization_id,
            actor=auth.actor(),
            only_of=only_of(),
            event_type=event_type,
        )
    return jsonify(webhook_fields.trial_shape(trial))


def shown(subscription: Subscription, signing_secret: SecretValue | None = None) -> Response:
    """Answer with one subscription."""
    with access.services().db.session() as session:
        teams = services.hooks().subscriptions.teams(session, [subscription])
    shape = webhook_fields.shape(subscription, teams.get(subscription.id, ()), signing_secret)
    answer = jsonify(shape)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def only_of() -> UUID | None:
    """Return the calling key when it is a personal one: it has no say in what others set up."""
    key = auth.principal()
    return key.key_id if key.rights.data.is_personal else None


def uuid(text: str) -> UUID:
    """Read the id of a subscription; what is none is not found."""
    found = as_uuid(text)
    if found is None:
        raise NotFound(SubscriptionNotFound.detail)
    return found


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the webhooks floor refuses into the API's errors."""
    try:
        yield
    except KeyEnded as error:
        raise auth.refusal() from error
    except ScopeLacking as error:
        raise auth.insufficient(error.scope, error.detail) from error
    except RightsLacking as error:
        raise Forbidden(error.detail) from error
    except (SubscriptionNotFound, DeliveryNotFound, RecoveryNotFound) as error:
        raise NotFound(error.detail) from error
    except (SubscriptionEnded, SwitchedOff, AlreadyRecovering) as error:
        raise Conflict(error.detail) from error
    except (TooSoon, Busy) as error:
        late = TooManyRequests if isinstance(error, TooSoon) else Unavailable
        raise late(error.detail, headers={"Retry-After": str(error.seconds)}) from error
    except BadChoice as error:
        raise BadRequest(fields={error.field: [error.detail]}) from error
    except WebhooksError as error:
        raise BadRequest(error.detail) from error
