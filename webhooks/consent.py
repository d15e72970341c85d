"""Does whoever is at a URL want events? Asked before anything is sent, if the subscriber wishes.

Either as CloudEvents has it (HTTP web hook 1.0.2, section 4): OPTIONS with our name, answered with
that name or a star; its status proves nothing. Or by a challenge: a POST with a random text, which
has to come back. Platforms such as Zapier answer neither, and are never asked.
"""

import json
from random import SystemRandom
from urllib.parse import urlsplit

from webhooks.choices import ZAPIER, Verify
from webhooks.errors import NotConfirmed
from webhooks.exchange import Answer, Exchange
from webhooks.signing import Random

ZAPIER_HOSTS = frozenset({"hooks.zapier.com"})
CHALLENGE_BYTES = 24

_ORIGIN = "webhook-request-origin"
_ALLOWED = "webhook-allowed-origin"


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

    def ask(self, url: str, how: Verify) -> None:
        """Return when they want events; raises NotConfirmed whatever else came of it, and Busy."""
        agreed = self._by_options(url) if how is Verify.OPTIONS else self._by_challenge(url)
        if not agreed:
            raise NotConfirmed(how)

    def _by_options(self, url: str) -> bool:
        answer = self._exchange.send(url, [f"{_ORIGIN}: {self._origin}"], method="OPTIONS")
        allowed = answer.headers.get(_ALLOWED, "").lower()
        return allowed in {"*", self._origin}

    def _by_challenge(self, url: str) -> bool:
        challenge = self._random.randbytes(CHALLENGE_BYTES).hex()
        body = json.dumps({"type": "webhook.challenge", "challenge": challenge}).encode()
        answer = self._exchange.send(url, ["content-type: application/json"], body)
        return answer.outcome.delivered and challenge in _echoed(answer)


def _echoed(answer: Answer) -> tuple[str, ...]:
    """Return what may be a challenge in an answer: its text, or the member of its JSON object."""
    text = answer.outcome.excerpt.strip()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return (text,)
    member = body.get("challenge") if isinstance(body, dict) else body
    return (text, member) if isinstance(member, str) else (text,)
