"""What is written on the outside of a body: the header lines of a request, signed."""

from importlib.metadata import version

from keystore.vault import Vault
from webhooks.leases import Job
from webhooks.signing import Signer
from webhooks.subscriptions import seal_context

MAX_SIGNERS = 10_000

_COMMON_HEADERS = ("content-type: application/json", f"user-agent: Keyhook/{version('keyhook')}")


class Envelopes:
    """Makes header lines; keeps the opened secrets, as opening one costs more than signing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._signers = dict[bytes, Signer]()

    def headers(self, job: Job, timestamp: int) -> list[str]:
        """Return the lines for one attempt; timestamp: seconds since 1970.

        Raises VaultError when the signing secret does not open.
        """
        signed = self._signer(job).headers(f"evt_{job.event_id}", timestamp, job.body)
        return [*_COMMON_HEADERS, *[f"{name}: {value}" for name, value in signed.items()]]

    def _signer(self, job: Job) -> Signer:
        endpoint = job.endpoint
        signer = self._signers.get(endpoint.secret_sealed)
        if signer is None:
            context = seal_context(endpoint.subscription_id)
            signer = Signer(self._vault.open(endpoint.secret_sealed, context))
            if len(self._signers) >= MAX_SIGNERS:
                self._signers.clear()
            self._signers[endpoint.secret_sealed] = signer
        return signer
