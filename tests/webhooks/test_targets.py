from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.addresses import Network
from webhooks.errors import BadTarget
from webhooks.targets import check_target

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def refusal(url: str, allowed: tuple[Network, ...] = ()) -> str:
    with pytest.raises(BadTarget) as caught:
        check_target(url, allowed)
    return caught.value.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.zapier.com/hooks/standard/123/abc/",
        "HTTPS://Hooks.Example.com",
        "https://hooks.example.com:8443/path;v=1?token=a%20b&x=[1]",
        "https://xn--bcher-kva.example/",
        "https://under_score.example./",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
    ],
)
def test_takes_https_urls_of_the_world(url: str) -> None:
    check_target(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/hook",
        "http://[::1]:8080/hook",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost:8080/hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
    ],
)
def test_takes_plain_http_only_where_the_operator_allows_the_address(url: str) -> None:
    check_target(url, LOOPBACK)
    refusal(url)


def test_localhost_needs_loopback_of_either_kind() -> None:
    check_target("http://localhost/", (ip_network("::1/128"),))
    assert "may not reach" in refusal("http://localhost/", (ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    "url", ["http://example.com/", "http://8.8.8.8/", "ftp://example.com/", "example.com", ""]
)
def test_asks_for_https(url: str) -> None:
    assert url == "" or refusal(url, LOOPBACK) == "The target URL must begin with https://."
    assert refusal(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
    ],
)
def test_refuses_addresses_that_would_never_be_dialled(url: str) -> None:
    assert "an address that webhooks may not reach" in refusal(url, LOOPBACK)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0x7f.0.0.1", "1.2.3", "1.2.3.4."]
)
def test_refuses_odd_spellings_of_ipv4(host: str) -> None:
    assert "four plain decimal numbers" in refusal(f"https://{host}/", LOOPBACK)
    assert "four plain decimal numbers" in refusal(f"http://{host}/", LOOPBACK)


def test_refuses_user_names_and_fragments() -> None:
    assert "user name" in refusal("https://ada:secret@example.com/")
    assert "user name" in refusal("https://@example.com/")
    assert "fragment" in refusal("https://example.com/#top")
    assert "fragment" in refusal("https://example.com/#")


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:///path",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:http/",
        "https://[::1/",
        "https://[nonsense]/",
        "https://[fe80::1%25eth0]/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com\\@127.0.0.1/",
        "https://bücher.example/",
        "https://127%2e0%2e0%2e1/",
        "https://-a.example/" + "x" * 2040,
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://a..example/",
    ],
)
def test_refuses_what_cannot_be_read_in_one_way_only(url: str) -> None:
    refusal(url, LOOPBACK)


@given(url=st.text() | st.text().map("https://".__add__) | st.text("htps:/[]@#%.0x1a\\ ").map(str))
def test_checking_any_text_ends_in_yes_or_in_a_sentence(url: str) -> None:
    said = "."
    try:
        check_target(url, LOOPBACK)
    except BadTarget as refused:
        said = refused.detail
    assert said.endswith(".")
