"""A subscription in the API: what may be sent for one, and what is answered."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import request

from connector.api.body import decoded
from connector.api.key_fields import Fields
from connector.meetings import moments
from connector.meetings.fields import as_uuid
from connector.problems import BadRequest
from keystore import access
from keystore.credentials import SecretValue
from webhooks import choices
from webhooks.choices import Choices, Verify
from webhooks.models import Subscription
from webhooks.signing import Scheme
from webhooks.trials import Trial

CHANGEABLE = frozenset(
    {"event_type", "event_types", "target_url", "teams", "without", "headers", "rate"}
)
NEW = CHANGEABLE | {"target_type", "scheme", "verify"}


@dataclass(frozen=True)
class New:
    """What somebody wants to subscribe to."""

    event_types: tuple[str, ...]
    target_url: str
    target_type: int | None
    chosen: Choices
    scheme: Scheme
    verify: Verify | None


@dataclass(frozen=True)
class Changed:
    """What somebody wants to change; None: nothing of this."""

    event_types: tuple[str, ...] | None
    target_url: str | None
    chosen: Choices


def new() -> New:
    """Read a new subscription from the request's body; raises BadRequest for all that is wrong."""
    fields = _fields(NEW)
    event_types = _event_types(fields)
    if event_types is None and "event_types" not in fields.wrong:
        fields.wrong["event_type"] = ["Give a text."]
    target_url = fields.text("target_url")
    target_type = fields.body.get("target_type")
    if target_type is not None and (
        type(target_type) is not int or target_type not in {choices.ZAPIER, choices.ORGANIZATION}
    ):
        fields.wrong["target_type"] = ["Choose 1 (Zapier) or 2 (organization)."]
    scheme = fields.body.get("scheme", Scheme.V1)
    if scheme not in tuple(Scheme):
        fields.wrong["scheme"] = ["Choose v1 (a shared secret) or v1a (a key pair)."]
    verify = fields.body.get("verify")
    if verify is not None and verify not in tuple(Verify):
        fields.wrong["verify"] = [f"Choose one of {', '.join(Verify)}, or leave it out."]
    chosen = _chosen(fields)
    fields.check()
    return New(
        event_types or (),
        target_url,
        target_type,
        chosen,
        Scheme(scheme),
        Verify(verify) if verify else None,
    )


def changed() -> Changed:
    """Read a change from the request's body; raises BadRequest for all that is wrong."""
    fields = _fields(CHANGEABLE)
    event_types = _event_types(fields)
    target_url = fields.text("target_url") if "target_url" in fields else None
    chosen = _chosen(fields)
    fields.check()
    return Changed(event_types, target_url, chosen)


def shape(
    subscription: Subscription,
    teams: Collection[UUID] = (),
    signing_secret: SecretValue | None = None,
) -> dict[str, Any]:
    """Return the contract's Webhook object, with `id` as the platforms want it, and what is ours.

    signing_secret: of a new one; in scheme v1a the public key is there at all times instead.
    Of its own headers the names alone: the values may be credentials.
    """
    known: dict[str, Any] = {
        "uuid": str(subscription.id),
        "id": str(subscription.id),
        "event_type": subscription.event_type,
        "event_types": list(subscription.types),
        "target_type": subscription.target_type,
        "target_url": subscription.target_url,
        "is_active": subscription.is_active,
        "teams": [str(one) for one in teams],
        "without": subscription.without.split(),
        "headers": subscription.header_names.split(),
        "rate": subscription.rate,
        "verify": subscription.verify,
        "scheme": Scheme.V1 if subscription.public_key is None else Scheme.V1A,
    }
    until = subscription.former_until
    if until is not None and until > access.services().clock.now():
        known["former_secret_until"] = moments.formatted(until)
    if subscription.public_key is not None:
        return known | {"public_key": subscription.public_key}
    return known if signing_secret is None else known | {"signing_secret": signing_secret.reveal()}


def trial_shape(trial: Trial) -> dict[str, Any]:
    """Return what was sent to try a subscription out, and what came of it."""
    outcome = trial.answer.outcome
    response = {
        "status": outcome.status,
        "headers": trial.answer.headers,
        "body": outcome.excerpt,
        "is_cut": trial.answer.is_cut,
    }
    return {
        "delivered": outcome.delivered,
        "duration_ms": outcome.duration_ms,
        "error": outcome.error,
        "request": {
            "url": trial.url,
            "headers": dict(line.split(": ", 1) for line in trial.lines),
            "body": trial.body.decode(),
        },
        "response": response if outcome.status is not None else None,
    }


def optional_body() -> dict[str, Any]:
    """Return the request's JSON object; an empty one when there is no body. Raises BadRequest."""
    if not request.get_data():
        return {}
    body = decoded()
    if not isinstance(body, dict):
        raise BadRequest("Send a JSON object, or nothing.")
    return body


def _fields(known: frozenset[str]) -> Fields:
    body = decoded()
    if not isinstance(body, dict):
        raise BadRequest(
            'Send a JSON object like {"event_type": "new_conversation", "target_url": "https://…"}.'
        )
    return Fields(body, known)


def _event_types(fields: Fields) -> tuple[str, ...] | None:
    """Return the event types under either name, None where neither is there."""
    if "event_type" in fields and "event_types" in fields:
        both = fields.texts("event_types")
        if both[:1] != (fields.text("event_type"),):
            fields.wrong.setdefault(
                "event_types", ["Give event_type or event_types; of both, the first is the same."]
            )
        return both
    if "event_types" in fields:
        found = fields.texts("event_types")
        if not found:
            fields.wrong.setdefault("event_types", ["Give at least one event type."])
        return found
    return (fields.text("event_type"),) if "event_type" in fields else None


def _chosen(fields: Fields) -> Choices:
    """Read the optional choices. In each, null stands for none."""
    return Choices(
        without=_texts(fields, "without"),
        teams=_teams(fields),
        headers=_headers(fields),
        rate=_rate(fields),
    )


def _texts(fields: Fields, name: str) -> Sequence[str] | None:
    if name not in fields:
        return None
    return () if fields.body[name] is None else fields.texts(name)


def _teams(fields: Fields) -> Collection[UUID] | None:
    texts = _texts(fields, "teams")
    if texts is None:
        return None
    found = [as_uuid(text.lower()) for text in texts]
    if None in found:
        fields.wrong["teams"] = ["Give a list of the uuids of teams."]
    return {one for one in found if one is not None}


def _headers(fields: Fields) -> dict[str, str] | None:
    if "headers" not in fields:
        return None
    value = fields.body["headers"] if fields.body["headers"] is not None else {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        fields.wrong["headers"] = ['Give an object of texts, like {"authorization": "Bearer …"}.']
        return None
    return value


def _rate(fields: Fields) -> int | None:
    if "rate" not in fields:
        return None
    rate = fields.number("rate", choices.OWN_RATE)
    return choices.OWN_RATE if rate is None else rate
