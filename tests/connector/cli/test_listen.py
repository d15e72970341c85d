"""`keyhook listen` in a process of its own, and a real delivery by our own worker."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from connector.app import Parts
from connector.cli import main
from connector.cli.listen import harmless
from keystore.clock import SystemClock
from keystore.credentials import SecretValue
from tests.connector.meetings.support import MEETING, sent
from tests.support.issued import overheard
from tests.support.receiver import Answer, Receiver
from tests.support.server import clean_environment, free_port
from webhooks.signing import Signer

SECRET = SecretValue("whsec_" + "bm9ydGh3aW5k" * 3)


@pytest.fixture
def clock() -> SystemClock:
    """Return the machine's own, which the listening process sees too."""
    return SystemClock()


@contextmanager
def listening(
    log: Path, secret: str, *options: str, port: int = 0
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Listen until the block ends; yield the address. All that is printed goes to the log."""
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector", "listen", "--port", str(port), *options],
            stdout=subprocess.PIPE,
            stderr=output,
            env=overheard(
                clean_environment(WEBHOOK_SECRET=secret, COLUMNS="200", PYTHONUNBUFFERED="1")
            ),
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Listening on http://127.0.0.1:"), line + log.read_text()
        yield line.split()[2], process
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        process.stdout.close()
        assert process.wait(30) == 0
        log.write_text(log.read_text() + rest)


def test_a_delivery_by_our_worker_is_verified_shown_and_passed_on(
    api: FlaskClient, parts: Parts, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    made = api.post(
        "/v1/webhooks/",
        json={"event_type": "meeting.ended", "target_url": f"http://127.0.0.1:{port}/hook"},
    ).get_json()
    assert api.put(f"/v1/meetings/{MEETING}/", json=sent(subject="Überblick")).status_code == 201
    worker = parts.worker()
    with Receiver() as app:
        app.default = Answer(202, {}, b"thanks")
        with listening(log, made["signing_secret"], "--forward", app.url("/mine"), port=port):
            assert worker.run_once() == 1
        [request] = app.requests
    worker.close()

    shown = log.read_text()
    assert "genuine  meeting.ended  evt_" in shown
    assert "forwarded, answered 202" in shown
    assert '"subject": "Überblick"' in shown
    assert shown.endswith("1 genuine, 0 refused\n")
    assert made["signing_secret"] not in shown
    assert request.path == "/mine"
    assert request.headers["webhook-id"].startswith("evt_")


def test_what_others_wrote_is_shown_without_steering_the_terminal(tmp_path: Path) -> None:
    log, body = tmp_path / "log", b'{"type": "a\\u001b[2Jb", "n": "\\u009b1m[red]x[/red]"}'
    file = tmp_path / "secrets"
    file.write_text(f"whsec_{'c291dGh3aW5k' * 3}\n{SECRET.reveal()}\n")
    with listening(log, "", "--secret-file", str(file), "--answer", "503") as (url, _):
        signed = Signer(SECRET).headers("evt_1", int(time.time()), body)
        for _ in range(2):
            assert requests.post(url, body, headers=signed, timeout=10).status_code == 503
        evil = "\x1b]0;title\x07\xff".encode("latin-1")
        assert requests.post(url, evil, headers=signed, timeout=10).status_code == 401

    shown = log.read_text()
    assert "genuine  a\ufffd[2Jb  evt_1  signed" in shown
    assert "time 2  answered 503" in shown
    assert "NOT GENUINE  evt_1" in shown
    assert "No signature is by this secret" in shown
    assert "[red]x[/red]" in shown
    assert "2 genuine, 1 refused" in shown
    assert not set(shown) & {"\x1b", "\x9b", "\x07"}
    assert SECRET.reveal() not in shown


def test_a_text_is_harmless_when_nothing_in_it_is_a_control() -> None:
    assert harmless("a\tb\r\nc\rd\x00\x7f\x85\u202e\u2028ä") == "a    b\nc" + "�d" + "�" * 5 + "ä"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--secret", "sesame"], "not a signing secret"),
        (["--secret-file", "/nowhere"], "does not exist"),
        (["--secret", SECRET.reveal(), "--forward", "127.0.0.1:3000"], "--forward takes"),
        (["--secret", SECRET.reveal(), "--forward", "http://me:pw@127.0.0.1/"], "--forward takes"),
        (["--secret", SECRET.reveal(), "--forward", "http://127.0.0.1:x/"], "--forward takes"),
        (["--secret", SECRET.reveal(), "--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--secret", SECRET.reveal(), "--answer", "100"], "--answer"),
    ],
)
def test_bad_use_is_said_in_one_line_that_shows_no_secret(
    arguments: list[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("WEBHOOK_SECRET", raising=False)

    with pytest.raises(SystemExit) as ended:
        main(["listen", *arguments])

    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert why in said.err
    assert "sesame" not in said.err
    assert SECRET.reveal() not in said.err


def test_before_there_is_a_secret_it_agrees_to_be_sent_events_and_believes_nothing(
    api: FlaskClient, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with listening(log, "") as (url, _):
        for verify in ("challenge", "options"):
            body = {"event_type": "meeting.ended", "target_url": url, "verify": verify}
            assert api.post("/v1/webhooks/", json=body).status_code == 201
        signed = Signer(SECRET).headers("evt_1", int(time.time()), b"{}")
        assert requests.post(url, b"{}", headers=signed, timeout=10).status_code == 401

    shown = log.read_text()
    assert "Without a signing secret nothing is genuine" in shown
    assert shown.count("asked whether events are wanted  answered 200") == 2
    assert "There is no signing secret" in shown
    assert "0 genuine, 1 refused" in shown
