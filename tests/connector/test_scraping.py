"""`/metrics`: true, for those who may read it, and without a word that opens a door."""

import subprocess
import sys
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import requests
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from connector import scraping
from connector.app import Parts
from connector.proxies import TrustedProxies
from tests.support.issued import overheard
from tests.support.server import (
    eventually,
    free_port,
    installation_environment,
    stop,
)

PATH = "/metrics"
Values = dict[str, float]


def read(text: str) -> Values:
    """Return the samples, by name and labels as they are written."""
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def asked(peer: str, *trusted: str, allowed: str = "127.0.0.0/8", **headers: str) -> bool:
    """Tell whether somebody may read, by who has connected and what proxies say."""
    verdicts = []

    def app(environ: WSGIEnvironment, _: StartResponse) -> list[bytes]:
        verdicts.append(scraping.may_read(environ, map(ip_network, allowed.split())))
        return []

    environ = {"REMOTE_ADDR": peer} | {
        f"HTTP_{name.upper()}": text for name, text in headers.items()
    }
    behind = TrustedProxies(app, [ip_network(one) for one in trusted]) if trusted else app
    behind(environ, lambda *_: print)
    return verdicts[0]


def test_only_the_operators_networks_may_read(client: FlaskClient) -> None:
    for address, status in (
        ("127.0.0.1", 200),
        ("::ffff:127.0.0.1", 200),
        ("203.0.113.9", 404),
        ("", 404),
    ):
        answer = client.get(PATH, environ_overrides={"REMOTE_ADDR": address})
        assert answer.status_code == status
    assert client.get(PATH, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert not asked("127.0.0.1", allowed="")
    assert asked("10.2.0.7", allowed="10.1.0.0/16 10.2.0.0/16")


def test_behind_a_proxy_it_counts_who_asked_the_proxy() -> None:
    proxy = "127.0.0.1"
    assert not asked(proxy, proxy, x_forwarded_for="203.0.113.9")
    assert not asked(proxy, proxy, x_forwarded_for="127.0.0.2, 203.0.113.9")
    assert not asked(proxy, proxy, x_forwarded_for="127.0.0.2, unknown")
    assert not asked(proxy, proxy, x_real_ip="127.0.0.2")
    assert asked("10.0.0.1", "10.0.0.0/8", x_forwarded_for="127.0.0.2")
    assert asked("127.0.0.1", "10.0.0.0/8")


@given(
    name=st.sampled_from(["x_forwarded_for", "forwarded", "x_real_ip", "via"]),
    text=st.sampled_from(["127.0.0.2", "203.0.113.9", "for=127.0.0.2", "unknown", ","]) | st.text(),
    trusted=st.sampled_from([(), ("10.0.0.0/8",)]),
)
def test_a_proxy_that_nobody_knows_lends_its_address_to_no_one(
    name: str, text: str, trusted: tuple[str, ...]
) -> None:
    assert not asked("127.0.0.1", *trusted, **{name: text})


def test_a_port_of_its_own_has_the_metrics_and_nothing_else(parts: Parts) -> None:
    both = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    for host, allowed, status in (
        ("127.0.0.1", both, 200),
        ("::1", both, 200),
        ("127.0.0.1", (), 404),
    ):
        settings = replace(parts.services.settings, metrics_networks=allowed)
        server = scraping.serve(parts.metrics, replace(parts.services, settings=settings), host, 0)
        at = f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}"
        answer = requests.get(at + PATH, timeout=10)
        assert answer.status_code == status
        assert ("keyhook_deliveries_pending 0.0" in answer.text) == (status == 200)
        assert requests.get(at + "/healthz", timeout=10).status_code == 404
        forwarded = {"X-Forwarded-For": "127.0.0.1"}
        assert requests.get(at + PATH, headers=forwarded, timeout=10).status_code == 404
        server.shutdown()
        server.server_close()


def test_a_worker_answers_on_the_port_it_is_given(sqlite_url: str, tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "connector", "worker", "--metrics-port", str(port)],
        env=overheard(installation_environment(tmp_path, sqlite_url)),
        text=True,
    )

    def text() -> str | None:
        try:
            return requests.get(f"http://127.0.0.1:{port}{PATH}", timeout=5).text
        except requests.ConnectionError:
            assert process.poll() is None
            return None

    try:
        seen = read(str(eventually(text)))
    finally:
        stop(process)
    assert seen["keyhook_database_up"] == 1
    assert seen["keyhook_delivery_retries_total"] == 0
