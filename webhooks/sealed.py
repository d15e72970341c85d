"""What is sealed on this floor, for whoever replaces the installation's secret key."""

from keystore.resealing import Sealed
from webhooks.models import SigningSecret, Subscription
from webhooks.seals import headers_context, organization_context, secret_context

SEALED = (
    Sealed("signing secrets", Subscription.secret_sealed, Subscription.id, secret_context),
    Sealed(
        "former signing secrets",
        Subscription.former_secret_sealed,
        Subscription.id,
        secret_context,
    ),
    Sealed(
        "headers of subscriptions", Subscription.headers_sealed, Subscription.id, headers_context
    ),
    Sealed(
        "signing secrets of organizations",
        SigningSecret.sealed,
        SigningSecret.organization_id,
        organization_context,
    ),
)
