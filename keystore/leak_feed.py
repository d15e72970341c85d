"""Reports of a secret scanner, let through by its signature; its public keys are fetched and kept.

The list of keys is fetched when a report comes in and the last one is old, or when a report names a
key that is not on it; never more often than once a minute, whoever knocks. When it cannot be
fetched, the last one serves on for a day: a scanner's server may be busy, and a leak cannot wait.
"""

import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import requests
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from keystore import leak_records
from keystore.clock import Clock, rising
from keystore.errors import ReportRefused, ScannerSilent
from keystore.leak_records import Record

FRESH_FOR = timedelta(minutes=30)
STALE_FOR = timedelta(days=1)  # after that, reports have to wait until the list can be had again
AT_MOST_EVERY = timedelta(minutes=1)
TIMEOUT = (3.0, 5.0)  # seconds to connect, and between two bytes of the answer
LONGEST_LIST = 100_000  # bytes; GitHub's has a few hundred for each key

log = logging.getLogger(__name__)


class LeakFeed:
    """One scanner's reports. Its list of public keys is at `keys_url`; "" means nobody reports."""

    def __init__(
        self, keys_url: str, clock: Clock, *, timeout: tuple[float, float] = TIMEOUT
    ) -> None:
        self._url = keys_url
        self._clock = rising(clock)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._keys: dict[str, EllipticCurvePublicKey] = {}
        self._etag: str | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is anybody to report."""
        return bool(self._url)

    def records(self, body: bytes, identifier: str | None, signature: str | None) -> list[Record]:
        """Return what the scanner reports, in the raw body that it signed with this key.

        Raises ReportRefused unless the signature is right, ScannerSilent when that cannot be told
        at the moment, BadReport when what was signed cannot be read.
        """
        if not identifier or not signature:
            raise ReportRefused
        key = self._key(identifier)
        if key is None or not leak_records.is_signed(body, signature, key):
            raise ReportRefused
        return leak_records.records(body)

    def _key(self, identifier: str) -> EllipticCurvePublicKey | None:
        with self._lock:  # one fetches, the others wait for what it gets: seconds at the most
            now = self._clock.now()
            if self._age(now) >= FRESH_FOR or identifier not in self._keys:
                self._refresh(now)
            if self._age(now) >= STALE_FOR:
                raise ScannerSilent
            return self._keys.get(identifier)

    def _age(self, now: datetime) -> timedelta:
        return timedelta.max if self._fetched_at is None else now - self._fetched_at

    def _refresh(self, now: datetime) -> None:
        if self._tried_at is not None and now - self._tried_at < AT_MOST_EVERY:
            return
        self._tried_at = now
        try:
            fetched = self._fetch()
            if fetched is not None:
                text, etag = fetched
                self._keys, self._etag = leak_records.public_keys(text), etag
        except (requests.RequestException, ValueError, RecursionError) as error:
            log.warning("The scanner's public keys could not be fetched: %s", error)
        else:
            self._fetched_at = now

    def _fetch(self) -> tuple[str, str | None] | None:
        """Return the list and its ETag, or None when it is as it was (RFC 9110, 15.4.5)."""
        headers = {"Accept": "application/json", "User-Agent": "keyhook"}
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        with requests.get(
            self._url,
            headers=headers,
            timeout=self._timeout,
            # The keys decide whom we believe: they come from this address or not at all.
            allow_redirects=False,
            stream=True,
        ) as answer:
            if answer.status_code == requests.codes.not_modified and self._etag is not None:
                return None
            if answer.status_code != requests.codes.ok:
                raise ValueError(f"the answer was {answer.status_code}")
            text = _read(answer.iter_content(8192)).decode("utf-8")
            return text, answer.headers.get("ETag")


def _read(chunks: Iterable[bytes]) -> bytes:
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > LONGEST_LIST:
            raise ValueError("the list is too long")
    return body
