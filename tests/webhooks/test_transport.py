import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.certificates import certified_for
from tests.support.receiver import (
    Answer,
    Behaviour,
    CloseEarly,
    Drip,
    Flood,
    Hang,
    Raw,
    Receiver,
    Together,
)
from tests.webhooks.conftest import LOOPBACK
from tests.webhooks.running import no_thread
from webhooks import addresses, names
from webhooks.names import Names
from webhooks.outcome import Ending, Outcome
from webhooks.transport import SELECTABLE, Transport

LINES = ("content-type: application/json", "webhook-id: evt_1")

#: URLs that all mean this machine's loopback, as browsers, curl and the C library read them.
SPELLINGS = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "127%2e0%2e0%2e1",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "localhost",
    "LOCALHOST",
    "0.0.0.0",
    "0",
    "[::]",
]


@pytest.fixture
def transport() -> Iterator[Transport[str]]:
    transport = Transport[str](slots=8, timeout=1.0, allow_networks=LOOPBACK)
    yield transport
    transport.close()


@pytest.fixture
def strict() -> Iterator[Transport[str]]:
    """As installed: no network is allowed beyond the global ones."""
    transport = Transport[str](slots=8, timeout=1.0)
    yield transport
    transport.close()


def outcome_of(transport: Transport[str], url: str, body: bytes = b"{}") -> Outcome:
    transport.start("the one", url, LINES, body)
    [(ticket, outcome)] = finish(transport)
    assert ticket == "the one"
    return outcome


def finish(transport: Transport[str]) -> list[tuple[str, Outcome]]:
    finished = []
    while transport.busy:
        finished += transport.poll(0.2)
    return finished


def test_posts_the_body_and_the_headers_as_given(
    receiver: Receiver, transport: Transport[str]
) -> None:
    body = bytes(range(256)) * 8_000  # 2 MB: also longer than libcurl likes to announce
    receiver.default = Answer(201, {"X-Thing": "1"}, b'{"thanks": true}')
    outcome = outcome_of(transport, receiver.url("/hook/1?a=%20b"), body)
    assert (outcome.ending, outcome.status, outcome.error) == (Ending.ANSWERED, 201, None)
    assert outcome.excerpt == '{"thanks": true}'
    assert outcome.delivered
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook/1?a=%20b")
    assert request.body == body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "evt_1"
    assert "expect" not in request.headers


def test_keeps_the_connection_for_the_next_request(
    receiver: Receiver, transport: Transport[str]
) -> None:
    for _ in range(3):
        assert outcome_of(transport, receiver.url()).delivered
    assert receiver.connections == 1


def test_a_connection_that_was_closed_meanwhile_does_not_cost_an_attempt(
    receiver: Receiver, transport: Transport[str]
) -> None:
    receiver.then(Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert outcome_of(transport, receiver.url()).delivered
    time.sleep(0.2)  # the receiver hangs up
    assert outcome_of(transport, receiver.url()).delivered


def test_sends_many_at_once(receiver: Receiver, transport: Transport[str]) -> None:
    receiver.default = Together(8)
    for number in range(8):
        transport.start(str(number), receiver.url(), LINES, b"{}")
    assert (transport.free, transport.busy) == (0, 8)
    finished = finish(transport)
    assert sorted(ticket for ticket, _ in finished) == list("01234567")
    assert all(outcome.delivered for _, outcome in finished)
    assert (transport.free, transport.busy) == (8, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_never_follows_a_redirect(
    receiver: Receiver, transport: Transport[str], status: int
) -> None:
    receiver.on("/old", Answer(status, {"Location": receiver.url("/new")}))
    outcome = outcome_of(transport, receiver.url("/old"))
    assert (outcome.ending, outcome.status) == (Ending.ANSWERED, status)
    assert not outcome.delivered
    assert [request.path for request in receiver.requests] == ["/old"]


@pytest.mark.parametrize(
    ("behaviour", "ending", "status"),
    [
        (Hang(), Ending.TIMED_OUT, None),
        (Drip(), Ending.TIMED_OUT, 200),
        (CloseEarly("before"), Ending.BROKEN, None),
        (CloseEarly("within"), Ending.BROKEN, 200),
        (Raw(b"It works!"), Ending.BROKEN, None),
        (Raw(b"HTTP/1.1 fine\r\n\r\n"), Ending.BROKEN, None),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), Ending.BROKEN, 200),
        (Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Ending.BROKEN, 200),
        (Raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 400_000 + b"\r\n\r\n"), Ending.BROKEN, 200),
        (Raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000 + b"\r\n"), Ending.BROKEN, 200),
    ],
)
def test_an_answer_that_never_becomes_whole_is_no_acknowledgement(
    receiver: Receiver,
    transport: Transport[str],
    behaviour: Behaviour,
    ending: Ending,
    status: int | None,
) -> None:
    receiver.then(behaviour)
    outcome = outcome_of(transport, receiver.url())
    assert (outcome.ending, outcome.status) == (ending, status)
    assert outcome.error is not None
    assert "127.0.0.1" not in outcome.error
    assert not outcome.delivered
    # The slot is as good as before.
    assert outcome_of(transport, receiver.url()).delivered


def test_one_deadline_covers_the_whole_attempt(
    receiver: Receiver, transport: Transport[str]
) -> None:
    receiver.then(Drip(every=0.01))
    outcome = outcome_of(transport, receiver.url())
    assert outcome.ending is Ending.TIMED_OUT
    assert 900 <= outcome.duration_ms <= 5_000


@pytest.mark.parametrize("status", [200, 500])
def test_hangs_up_on_a_200_mb_answer_having_heard_the_status(
    receiver: Receiver, transport: Transport[str], status: int
) -> None:
    receiver.then(Flood(size=200_000_000, status=status))
    outcome = outcome_of(transport, receiver.url())
    assert (outcome.ending, outcome.status) == (Ending.ANSWERED, status)
    assert outcome.excerpt == "x" * 2048
    assert receiver.flooded < 50_000_000  # what the kernel's buffers took, and no more


def test_keeps_bytes_that_are_no_text_readable(
    receiver: Receiver, transport: Transport[str]
) -> None:
    receiver.then(Answer(400, body=b"caf\xe9\x00\xff"))
    assert outcome_of(transport, receiver.url()).excerpt == "caf�\x00�"


def test_reads_retry_after_from_the_final_answer_only(
    receiver: Receiver, transport: Transport[str]
) -> None:
    receiver.then(
        Answer(503, {"retry-AFTER": " 7 "}), Answer(503), Answer(200, {"Retry-After": "1"})
    )
    said = [outcome_of(transport, receiver.url()).retry_after for _ in range(3)]
    assert said == ["7", None, None]
    early = b"HTTP/1.1 103 Early\r\nRetry-After: 9\r\n\r\n"
    receiver.then(Raw(early + b"HTTP/1.1 503 So\r\nContent-Length: 0\r\n\r\n"))
    assert outcome_of(transport, receiver.url()).retry_after is None


@pytest.mark.parametrize("host", SPELLINGS)
def test_refuses_loopback_at_the_socket_however_it_is_spelled(
    receiver: Receiver, strict: Transport[str], host: str
) -> None:
    outcome = outcome_of(strict, receiver.url(host=host))
    assert outcome.ending is Ending.REFUSED
    assert outcome.error == "The address of this host is one that webhooks may not reach."
    assert receiver.connections == 0


def _spellings(address: IPv4Address) -> st.SearchStrategy[str]:
    """All that the C library reads as this address: fewer parts, and each in one of three bases."""
    bits = int(address)
    parts = {
        1: [bits],
        2: [bits >> 24, bits & 0xFFFFFF],
        3: [bits >> 24, bits >> 16 & 0xFF, bits & 0xFFFF],
        4: [bits >> 24, bits >> 16 & 0xFF, bits >> 8 & 0xFF, bits & 0xFF],
    }
    bases = st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "000{:o}", "0x00{:x}"])
    return st.integers(1, 4).flatmap(
        lambda count: st.tuples(*[bases] * count).map(
            lambda chosen: ".".join(
                base.format(part) for base, part in zip(chosen, parts[count], strict=True)
            )
        )
    )


@given(network=st.sampled_from([one for one, _ in addresses.SPECIAL_V4]), data=st.data())
def test_refuses_special_addresses_in_whatever_way_the_c_library_may_read_them(
    strict: Transport[str], network: str, data: st.DataObject
) -> None:
    address = data.draw(st.ip_addresses(v=4, network=network))
    assert isinstance(address, IPv4Address)
    spelled = data.draw(_spellings(address))
    assert socket.inet_aton(spelled) == address.packed
    outcome = outcome_of(strict, f"http://{spelled}/")
    assert outcome.ending is Ending.REFUSED, spelled


def test_refuses_ipv6_loopback_too(strict: Transport[str]) -> None:
    with Receiver("::1") as receiver:
        for host in ("[::1]", "[0:0::1]", "localhost", "ip6-localhost"):
            outcome = outcome_of(strict, receiver.url(host=host))
            assert outcome.ending in {Ending.REFUSED, Ending.UNREACHABLE}
        assert outcome_of(strict, receiver.url()).ending is Ending.REFUSED
        assert receiver.connections == 0


@pytest.mark.parametrize("host", SPELLINGS[:12])
def test_the_operator_s_allowance_opens_the_same_spellings(
    receiver: Receiver, transport: Transport[str], host: str
) -> None:
    assert outcome_of(transport, receiver.url(host=host)).delivered


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://0xA9FEA9FE/",
        "http://168.63.129.16/",
        "http://[fd00:ec2::254]/",
    ],
)
def test_cloud_addresses_stay_shut_when_everything_is_allowed(url: str) -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    transport = Transport[str](slots=1, timeout=1.0, allow_networks=everything)
    try:
        assert outcome_of(transport, url).ending is Ending.REFUSED
    finally:
        transport.close()


def test_no_environment_variable_makes_it_use_a_proxy(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("http_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        transport = Transport[str](slots=1, timeout=1.0, allow_networks=LOOPBACK)
        try:
            assert outcome_of(transport, receiver.url()).delivered
        finally:
            transport.close()
        assert proxy.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:1/_x",
        "127.0.0.1:1",
        "",
        "http://",
        "http://a b/",
        "http://bücher.example\ud800/",
        "http://nul\0.example/",
    ],
)
def test_a_url_that_is_no_good_is_an_outcome_too(transport: Transport[str], url: str) -> None:
    outcome = outcome_of(transport, url)
    assert outcome.ending is Ending.UNSENT
    assert outcome.error
    assert transport.free == 8


def test_whatever_goes_wrong_is_an_outcome_too(
    transport: Transport[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Names, name: str) -> tuple[str, ...] | None:
        raise MemoryError

    monkeypatch.setattr(Names, "ask", fail)
    assert outcome_of(transport, "http://hooks.example/").ending is Ending.UNSENT
    assert transport.free == 8


def test_a_request_waits_until_there_is_a_thread_to_look_its_host_up(
    receiver: Receiver, transport: Transport[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_addresses", lambda _: ("127.0.0.1",))
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", no_thread)
        transport.start("a", receiver.url(host="hooks.example"), LINES, b"{}")
        assert transport.poll(0.05) == []
    [(_, outcome)] = finish(transport)
    assert outcome.delivered
    assert transport.free == 8


def test_hosts_that_are_not_there(transport: Transport[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    closed = outcome_of(transport, f"http://127.0.0.1:{port}/")
    assert (closed.ending, closed.error) == (
        Ending.UNREACHABLE,
        "The host took no connection.",
    )
    unknown = outcome_of(transport, "http://nowhere.invalid/")
    assert (unknown.ending, unknown.error) == (Ending.UNREACHABLE, "The host name was not found.")


def test_a_bell_ends_the_wait_for_answers(receiver: Receiver, transport: Transport[str]) -> None:
    receiver.default = Hang()
    bell, rope = os.pipe()
    transport.start("a", receiver.url(), LINES, b"{}")
    while not receiver.requests:
        assert transport.poll(0.05, bell) == []
    os.write(rope, b"!")

    assert transport.poll(60.0, bell) == [], "the request has not timed out yet"

    assert transport.busy == 1
    os.close(bell)
    os.close(rope)


@pytest.fixture
def crowd() -> Iterator[None]:
    """As in a server with many clients: whatever is opened now gets a high number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * SELECTABLE), hard))
    opened = [os.open(os.devnull, os.O_RDONLY)]
    while opened[-1] < SELECTABLE:
        opened.append(os.dup(opened[0]))
    yield
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("has_bell", [False, True])
@pytest.mark.usefixtures("crowd")
def test_what_select_does_not_know_is_heard_all_the_same(
    receiver: Receiver, transport: Transport[str], has_bell: bool
) -> None:
    receiver.then(Answer(delay=0.2))
    bell, ringing = os.pipe() if has_bell else (None, None)
    transport.start("the one", receiver.url(), LINES, b"{}")
    finished, looks = [], 0
    while transport.busy:
        finished += transport.poll(10.0, bell)
        looks += 1
    for end in (bell, ringing):
        if end is not None:
            assert end >= SELECTABLE
            os.close(end)
    [(ticket, outcome)] = finished
    assert (ticket, outcome.status) == ("the one", 200)
    assert looks < 200  # it waits between them


def test_what_is_abandoned_comes_back_by_its_ticket(
    receiver: Receiver, transport: Transport[str]
) -> None:
    receiver.default = Hang()
    for ticket in "ab":
        transport.start(ticket, receiver.url(), LINES, b"{}")
    while len(receiver.requests) < 2:
        assert transport.poll(0.05) == []
    assert sorted(transport.abandon()) == ["a", "b"]
    assert (transport.busy, transport.free) == (0, 8)
    receiver.default = Answer()
    assert outcome_of(transport, receiver.url()).delivered


def test_checks_certificates_by_authority_and_by_name(tmp_path: Path) -> None:
    authority, context = certified_for("127.0.0.1", tmp_path)
    trusting = Transport[str](
        slots=1, timeout=2.0, allow_networks=LOOPBACK, authorities=str(authority)
    )
    doubting = Transport[str](slots=1, timeout=2.0, allow_networks=LOOPBACK)
    try:
        with Receiver(tls=context) as receiver:
            assert outcome_of(trusting, receiver.url()).delivered
            wrong_name = outcome_of(trusting, receiver.url(host="localhost"))
            assert (wrong_name.ending, wrong_name.error) == (
                Ending.UNREACHABLE,
                "The host's TLS certificate is not valid for its name.",
            )
            assert outcome_of(doubting, receiver.url()).ending is Ending.UNREACHABLE
            assert len(receiver.requests) == 1
    finally:
        trusting.close()
        doubting.close()
