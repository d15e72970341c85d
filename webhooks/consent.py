"""Does whoever is at a URL want events? Asked before anything is sent, if the subscriber wishes.

Either as CloudEvents has it (HTTP web hook 1.0.2, section 4): OPTIONS with our name, answered with
that name or a star; its status proves nothing; it may tell how many events a minute are welcome,
which then is the rate of a subscription that chose none. Or by a challenge: a POST with a random
text, which has to come back. Platforms such as Zapier answer neither, and are never asked.
"""

import json
import re
from random import SystemRandom
from urllib.parse import urlsplit
from uuid import UUID

from webhooks.choices import MAX_RATE, ZAPIER, Verify
from webhooks.errors import NotConfirmed
from webhooks.exchange import Answer, Exchange
from webhooks.signing import Random

ZAPIER_HOSTS = frozenset({"hooks.zapier.com"})
CHALLENGE_BYTES = 24

_ORIGIN = "webhook-request-origin"
_ALLOWED = "webhook-allowed-origin"
_RATE = "webhook-allowed-rate"
_DIGITS = re.compile(r"[1-9][0-9]{0,8}")


def method_for(url: str, target_type: int, asked: Verify | None) -> Verify | None:
    """Return how the owner of a URL is asked; None when they are not."""
    if target_type == ZAPIER or urlsplit(url).hostname in ZAPIER_HOSTS:
        return None
    return asked


class Consent:
    """Asks the owners of URLs."""

    def __init__(self, exchange: Exchange, origin: str, random: Random | None = None) -> None:
        """Take our own address, whose host is the name under which we ask."""
        self._exchange = exchange
        self._origin = urlsplit(origin).hostname or ""
        self._random = random or SystemRandom()

    def ask(self, organization_id: UUID, url: str, how: Verify) -> int | None:
        """Return when they want events: how many a minute at most, None if they did not say.

        organization_id: the subscriber's.

        Raises NotConfirmed whatever else came of it, and Busy.
        """
        if how is Verify.CHALLENGE:
            self._by_challenge(organization_id, url)
            return None
        return self._by_options(organization_id, url)

    def _by_options(self, organization_id: UUID, url: str) -> int | None:
        lines = [f"{_ORIGIN}: {self._origin}"]
        answer = self._exchange.send(organization_id, url, lines, method="OPTIONS")
        if answer.headers.get(_ALLOWED, "").lower() not in {"*", self._origin}:
            raise NotConfirmed(Verify.OPTIONS)
        rate = answer.headers.get(_RATE, "")
        return min(int(rate), MAX_RATE) if _DIGITS.fullmatch(rate) else None

    def _by_challenge(self, organization_id: UUID, url: str) -> None:
        challenge = self._random.randbytes(CHALLENGE_BYTES).hex()
        body = json.dumps({"type": "webhook.challenge", "challenge": challenge}).encode()
        lines = ["content-type: application/json"]
        answer = self._exchange.send(organization_id, url, lines, body)
        if not answer.outcome.delivered or challenge not in _echoed(answer):
            raise NotConfirmed(Verify.CHALLENGE)


def _echoed(answer: Answer) -> tuple[str, ...]:
    """Return what may be a challenge in an answer: its text, or the member of its JSON object."""
    text = answer.outcome.excerpt.strip()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return (text,)
    member = body.get("challenge") if isinstance(body, dict) else body
    return (text, member) if isinstance(member, str) else (text,)
