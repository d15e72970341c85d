"""What is written on the outside of a body: the header lines of a request, signed."""

from importlib.metadata import version
from typing import NamedTuple

from keystore.credentials import SecretValue
from keystore.vault import Vault
from webhooks import choices
from webhooks.lanes import Endpoint
from webhooks.seals import headers_context, organization_context, secret_context
from webhooks.signing import Signer

MAX_OPENED = 10_000

_COMMON_HEADERS = ("content-type: application/json", f"user-agent: Keyhook/{version('keyhook')}")


class Lines(NamedTuple):
    """The header lines of one request."""

    sent: list[str]
    told: list[str]  # as a log may have them: of a subscription's own headers the names alone


class _Opened(NamedTuple):
    signer: Signer
    own: list[str]
    own_told: list[str]


class Envelopes:
    """Makes header lines; keeps the opened secrets, as opening one costs more than signing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened = dict[tuple[bytes | None, ...], _Opened]()

    def lines(self, endpoint: Endpoint, message_id: str, body: bytes, timestamp: int) -> Lines:
        """Return the lines for one attempt; timestamp: seconds since 1970.

        While one secret takes another's place both sign; the former's time ends by the clock.
        Raises VaultError when a secret does not open.
        """
        until = endpoint.former_until
        overlaps = until is not None and timestamp < until.timestamp()
        opened = self._open(endpoint, endpoint.former_secret_sealed if overlaps else None)
        proof = opened.signer.headers(message_id, timestamp, body)
        signed = [*_COMMON_HEADERS, *[f"{name}: {value}" for name, value in proof.items()]]
        if not opened.own:
            return Lines(signed, signed)
        return Lines([*signed, *opened.own], [*signed, *opened.own_told])

    def _open(self, endpoint: Endpoint, former: bytes | None) -> _Opened:
        sealed = (
            endpoint.secret_sealed,
            former,
            endpoint.contract_sealed,
            endpoint.headers_sealed,
        )
        opened = self._opened.get(sealed)
        if opened is None:
            if len(self._opened) >= MAX_OPENED:
                self._opened.clear()
            opened = self._opened[sealed] = self._opened_now(endpoint, former)
        return opened

    def _opened_now(self, endpoint: Endpoint, former: bytes | None) -> _Opened:
        context = secret_context(endpoint.subscription_id)
        secrets = [self._vault.open(endpoint.secret_sealed, context)]
        if former is not None:
            secrets.append(self._vault.open(former, context))
        contract: SecretValue | None = None
        if endpoint.contract_sealed is not None:
            of_all = organization_context(endpoint.organization_id)
            contract = self._vault.open(endpoint.contract_sealed, of_all)
        own: dict[str, str] = {}
        if endpoint.headers_sealed is not None:
            theirs = headers_context(endpoint.subscription_id)
            own = choices.read(self._vault.open(endpoint.headers_sealed, theirs).reveal())
        return _Opened(
            Signer(*secrets, contract=contract),
            [f"{name}: {value}" for name, value in own.items()],
            [f"{name}: ***" for name in own],
        )


def message_id(event_hex: str) -> str:
    """Return the `webhook-id` of an event, by its id in hexadecimal: the same at each attempt."""
    return f"evt_{event_hex}"
