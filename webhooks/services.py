"""This floor's collaborators in one value, for its pages and the floor above."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from webhooks.catalog import Catalog
from webhooks.recovery import Recoveries
from webhooks.redelivery import Redelivery
from webhooks.signing_secrets import SigningSecrets
from webhooks.subscriptions import Subscriptions
from webhooks.switches import Switches
from webhooks.trials import Trials


@dataclass(frozen=True)
class Hooks:
    """What a view needs of the webhooks floor. Made once, by the composition root."""

    catalog: Catalog
    subscriptions: Subscriptions
    switches: Switches
    redelivery: Redelivery
    recoveries: Recoveries
    signing_secrets: SigningSecrets
    trials: Trials


def hooks() -> Hooks:
    """Return the collaborators that the composition root gave to this app."""
    return cast("Hooks", current_app.extensions["keyhook_webhooks"])
