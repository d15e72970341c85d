"""The code that the page offers runs, in each language, and tells what we sign from the rest.

Each runs as a process of its own, with its language's standard library and nothing else.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import settings as running
from hypothesis import strategies as st

from connector.docs import ALL, Snippet
from keystore.credentials import SecretValue
from tests.platforms.node import NODE
from tests.support.needs import lacking
from webhooks import signing
from webhooks.signing import Signer

RUNNERS = Path(__file__).parent / "runners"
SECRET = signing.new_secret(Random(1))
FORMER = signing.new_secret(Random(2))
PRIVATE_KEY = signing.new_private_key(Random(3))
BODY = '{"note": "ein Überblick"}'.encode()

#: What servers hand over as a header's text; some have lines in it that no wire would carry.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
Ask = Callable[..., bool]


class Refused(Exception):
    """The snippet says that it was called wrongly."""


@pytest.fixture(scope="session", params=ALL, ids=lambda one: one.language)
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask one of the snippets whether a request is genuine."""
    command = started_by(request.param, tmp_path_factory)
    with ExitStack() as ends:
        process = ends.enter_context(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        )
        assert process.stdin is not None
        ends.callback(process.stdin.close)  # which ends it

        def ask(
            headers: dict[str, str | None], body: bytes = BODY, secret: SecretValue = SECRET
        ) -> bool:
            question = {
                "secret": secret.reveal(),
                "id": headers.get("webhook-id"),
                "timestamp": headers.get("webhook-timestamp"),
                "signatures": headers.get("webhook-signature"),
                "body": b64encode(body).decode(),
            }
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            if "error" in said:
                raise Refused(said["error"])
            assert isinstance(said["value"], bool)
            return said["value"]

        yield ask


def started_by(snippet: Snippet, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    match snippet.path.suffix:
        case ".py":
            return [sys.executable, "-I", RUNNERS / "run.py", snippet.path]
        case ".js":
            return [NODE, RUNNERS / "run.js", snippet.path]
        case ".rb":
            return [program("ruby"), RUNNERS / "run.rb", snippet.path]
        case ".php":
            return [program("php"), RUNNERS / "run.php", snippet.path]
        case _:
            return [built(snippet, tmp_path_factory.mktemp("go"))]


def program(name: str) -> str:
    return shutil.which(name) or lacking(name)


def built(snippet: Snippet, folder: Path) -> Path:
    """Compile the snippet, as a package of a program; no network is asked for anything."""
    go = program("go")
    (folder / "webhook").mkdir()
    shutil.copy(snippet.path, folder / "webhook")
    shutil.copy(RUNNERS / "main.go", folder)
    (folder / "go.mod").write_text("module example.com/receiver\n\ngo 1.19\n")
    environ = os.environ | {
        "GOCACHE": str(folder / "cache"),
        "GOPATH": str(folder / "path"),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    subprocess.run([go, "build", "-o", "receiver", "."], cwd=folder, env=environ, check=True)
    shutil.rmtree(folder / "cache")
    return folder / "receiver"


def signed(
    *secrets: SecretValue, body: bytes = BODY, ago: float = 0, **more: str | None
) -> dict[str, str | None]:
    headers = Signer(*(secrets or (SECRET,))).headers("evt_1", int(time.time() - ago), body)
    return {**headers, **{name.replace("_", "-"): text for name, text in more.items()}}


@running(max_examples=30)
@given(seed=st.integers(), body=st.binary())
@example(0, BODY)
@example(0, b"")
@example(0, b"%s {} $id \\1\x00\xff")
def test_what_we_sign_is_genuine(ask: Ask, seed: int, body: bytes) -> None:
    secret = signing.new_secret(Random(seed))
    assert ask(signed(secret, body=body), body, secret)


def test_either_secret_of_an_overlap_will_do(ask: Ask) -> None:
    both = signed(SECRET, PRIVATE_KEY, FORMER)
    assert ask(both, secret=SECRET)
    assert ask(both, secret=FORMER)


def test_another_body_or_secret_is_not_genuine(ask: Ask) -> None:
    assert not ask(signed(), BODY + b" ")
    assert not ask(signed(), b"")
    assert not ask(signed(FORMER))
    assert not ask(signed(PRIVATE_KEY))
    assert not ask(signed(), secret=FORMER)


def test_what_was_signed_more_than_five_minutes_from_now_is_not_genuine(ask: Ask) -> None:
    for ago in (290, -290):
        assert ask(signed(ago=ago))
    for ago in (310, -310, int(time.time())):
        assert not ask(signed(ago=ago))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@running(max_examples=30)
@given(text=texts | st.none())
@example(None)
@example("")
@example(" ")
@example("v1,")
@example("v1")
@example("v1a,AAAA v2,BBBB")
@example("+1767225600")
@example("1e9")
@example("\N{ARABIC-INDIC DIGIT ONE}767225600")
@example("9" * 40)
@example("\x00\xff\u2028")
def test_a_malformed_header_is_not_genuine(ask: Ask, name: str, text: str | None) -> None:
    assert not ask({**signed(), name: text})


def test_an_id_or_a_time_with_more_in_it_is_not_genuine(ask: Ask) -> None:
    # All of these would yield the same bytes to sign as an honest request.
    now = str(int(time.time()))
    body = now.encode() + b".{}"
    mark = Signer(SECRET).headers("evt_1", 5, body)["webhook-signature"]
    genuine = {"webhook-signature": mark, "webhook-timestamp": now}
    assert not ask({**genuine, "webhook-id": "evt_1.5"}, b"{}")
    spaced = signed()["webhook-timestamp"] or ""
    for timestamp in (f"{spaced}\n", f" {spaced}", f"+{spaced}", f"{spaced}.0"):
        assert not ask(signed(webhook_timestamp=timestamp))


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_YWJj", "whsec_!!!"])
def test_nothing_is_genuine_by_a_secret_that_is_none(ask: Ask, text: str) -> None:
    # An empty key is one that everybody knows.
    with pytest.raises(Refused):
        ask(signed(), secret=SecretValue(text))


def test_each_compares_in_constant_time_and_needs_no_library() -> None:
    constant = {
        "Python": "hmac.compare_digest(",
        "JavaScript": "crypto.timingSafeEqual(",
        "Go": "hmac.Equal(",
        "Ruby": "OpenSSL.secure_compare(",
        "PHP": "hash_equals(",
    }
    for snippet in ALL:
        assert constant[snippet.language] in snippet.text
        assert max(map(len, snippet.text.splitlines())) <= 104, "fits on the page"
        imported = re.findall(
            r'(?:require\(?|^import|^from) ?"?([\w:./]+)', snippet.text, re.MULTILINE
        )
        assert set(imported) <= {"base64", "hmac", "openssl", "node:crypto", "re", "time"}
