"""A log line helps whoever reads it, and opens no door."""

import io
import json
import logging
import random
from collections.abc import Callable, Iterator

import pytest

from connector import logs
from keystore import credentials
from keystore.credentials import SecretValue

CLIENT_KEY = credentials.generate_client_key(random.Random(1))
CLIENT_SECRET = credentials.generate_client_secret(CLIENT_KEY, random.Random(2)).reveal()
ACCESS_TOKEN = credentials.generate_access_token(random.Random(3)).reveal()
LINK = credentials.generate_link_token(random.Random(4)).reveal()
SIGNING = "whsec_" + "QUJD" * 10
PRIVATE = "whsk_" + "UVVK" * 10

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Log as a server does; hand out what was written, line by line."""
    root, stream = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    logs.configure("info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        CLIENT_SECRET,
        f"{CLIENT_KEY}:{CLIENT_SECRET}",
        f"{CLIENT_KEY}%3A{CLIENT_SECRET}",
        SIGNING,
        PRIVATE,
        ACCESS_TOKEN,
        f"Exception on /sign-in/new-password/{LINK}/ [POST]",
        f"{{'access_token': '{ACCESS_TOKEN}'}}",
        f"Authorization: Bearer {CLIENT_KEY}:{CLIENT_SECRET}",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    ],
)
def test_secrets_are_redacted_wherever_they_stand(text: str, lines: Lines) -> None:
    log = logging.getLogger("test")
    log.warning("got %s", text)
    log.warning("got", extra={"header": text})
    try:
        int(text)
    except ValueError:
        log.exception("failed with %s", {"nested": [text]})

    written = json.dumps(lines())

    assert written.count("[secret]") >= 3
    for secret in (
        CLIENT_SECRET[23:31],
        ACCESS_TOKEN[3:11],
        LINK[3:11],
        SIGNING[6:20],
        PRIVATE[5:19],
        "dXNlcjpwYXN",
    ):
        assert secret not in written


def test_a_client_key_may_be_logged_and_a_secret_value_hides_itself(lines: Lines) -> None:
    logging.getLogger("test").info("key %s, secret %s", CLIENT_KEY, SecretValue("sesame"))

    [line] = lines()

    assert line["event"] == f"key {CLIENT_KEY}, secret [secret]"
    assert line["level"] == "info"
    assert line["logger"] == "test"
