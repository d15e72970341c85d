"""What a Python integrator imports: the API's client, and the verifier of webhooks.

from connector.client import Client, Webhook

keyhook = Client("https://keyhook.example.com", client_key, client_secret)
for meeting in keyhook.meetings(from_date="2026-01-01T00:00:00Z"):
...
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import requests
from requests.auth import AuthBase

from connector.verifier import BadSecret, InvalidSignature, Webhook
from keystore.credentials import SecretValue

__all__ = [
    "ApiError",
    "BadSecret",
    "Client",
    "ClientError",
    "InvalidSignature",
    "Unreachable",
    "Webhook",
]

SUCCESS = range(200, 300)
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
_OF_THE_PROBLEM = frozenset({"type", "title", "status", "detail", "instance"})


class ClientError(Exception):
    """The API did not do what was asked."""


class Unreachable(ClientError):
    """No answer came; whether anything was done is not known."""


class ApiError(ClientError):
    """The API refused, and did nothing.

    status: the HTTP status. detail: one sentence that says what to do. fields: what is wrong with
    which field of the request. retry_after: seconds after which to try again, if it told.
    """

    def __init__(self, answer: requests.Response) -> None:
        problem = _read(answer)
        known = problem if isinstance(problem, dict) else {}
        self.status = answer.status_code
        self.detail = str(known.get("detail") or answer.reason or "The API refused.")
        self.fields: dict[str, list[str]] = {
            name: messages
            for name, messages in known.items()
            if name not in _OF_THE_PROBLEM and isinstance(messages, list)
        }
        self.retry_after = _retry_after(answer)
        super().__init__(f"{self.status}: {self.detail}")


class Client:
    """Calls the API with one key. Threads may share it as far as they may share its session."""

    def __init__(
        self,
        base_url: str,
        client_key: str,
        client_secret: str | SecretValue,
        *,
        timeout: float = 30.0,
        patience: float = 120.0,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet.

        timeout: seconds for which one request waits for the server. patience: seconds that one
        call may spend on waiting when the server says that it has to; 0: never wait. sleep: how
        to wait.
        """
        self._base = base_url.rstrip("/")
        self._auth = _Pair(client_key, client_secret)
        self._timeout = timeout
        self._patience = patience
        self._session = session or requests.Session()
        self._sleep = sleep

    def me(self) -> Any:
        """Return the key that is calling, and its organization."""
        return self.get("/v1/me/")

    def meetings(self, **filters: Any) -> Iterator[Any]:
        """Yield meetings, from as many pages as there are; the filters are those of the API."""
        return self.pages("/v1/meetings/", **filters)

    def meeting(self, meeting_id: str | UUID) -> Any:
        """Return one meeting."""
        return self.get(f"/v1/meetings/{_id(meeting_id)}/")

    def subscribe(self, event_type: str, target_url: str, **more: Any) -> Any:
        """Have events sent to a URL. The answer has the signing secret, this once."""
        body = {"event_type": event_type, "target_url": target_url, **more}
        return self.call("POST", "/v1/webhooks/", json=body)

    def unsubscribe(self, subscription_id: str | UUID) -> Any:
        """End a subscription; once more is the same as once."""
        return self.call("DELETE", f"/v1/webhooks/{_id(subscription_id)}/")

    def get(self, path: str, **parameters: Any) -> Any:
        """Return what stands at a path. None leaves a parameter out, a list repeats it."""
        return self.call("GET", path, params=parameters)

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Yield every item of a list, one page after the other as they are wanted."""
        page = self.get(path, **parameters)
        while True:
            if isinstance(page, list):
                yield from page
                return
            yield from page["results"]
            following = page.get("next")
            if not following:
                return
            # The server's own name for itself need not be the one by which we reach it, and the
            # secret goes nowhere else.
            parts = urlsplit(following)
            page = self.get(f"{parts.path}?{parts.query}")

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Make one call and return its answer's JSON, None when there is none.

        A 429 is waited out, as its Retry-After says and patience allows; so is a 503 to a GET.
        Raises ApiError, Unreachable.
        """
        left = self._patience
        while True:
            answer = self._send(method, path, params, json)
            if answer.status_code in SUCCESS:
                return _read(answer) if answer.content else None
            pause = _retry_after(answer)
            if pause is None or pause > left or not _worth_another_try(method, answer):
                raise ApiError(answer)
            self._sleep(pause)
            left -= pause

    def _send(
        self, method: str, path: str, params: Mapping[str, Any] | None, json: Any
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._base + path,
                params=params,
                json=json,
                auth=self._auth,
                timeout=self._timeout,
                allow_redirects=False,  # the secret goes to the address that was given
            )
        except requests.RequestException as error:
            raise Unreachable(f"{self._base} gave no answer ({type(error).__name__}).") from error


class _Pair(AuthBase):
    """Puts `Bearer KEY:SECRET` into each request; as an object, so that no .netrc replaces it."""

    def __init__(self, client_key: str, client_secret: str | SecretValue) -> None:
        if isinstance(client_secret, str):
            client_secret = SecretValue(client_secret)
        self._secret = client_secret
        self._client_key = client_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        pair = f"{self._client_key}:{self._secret.reveal()}"
        request.headers["Authorization"] = f"Bearer {pair}"
        return request


def _worth_another_try(method: str, answer: requests.Response) -> bool:
    busy = answer.status_code == UNAVAILABLE and method == "GET"
    return busy or answer.status_code == TOO_MANY_REQUESTS


def _retry_after(answer: requests.Response) -> int | None:
    """Return the seconds of `Retry-After` (RFC 9110, 10.2.3), at least one; None without them."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text.isascii() or not text.isdigit():
        return None
    return max(1, int(text[:9]))


def _read(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError:
        if answer.status_code in SUCCESS:
            raise ClientError("The answer is not JSON; is this the API's address?") from None
        return None


def _id(text: str | UUID) -> UUID:
    """Return an id, so that no text leads elsewhere. Raises ValueError."""
    return UUID(str(text))
