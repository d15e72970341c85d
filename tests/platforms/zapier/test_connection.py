"""A person connects Zapier with the Client Key and the Client Secret of a key."""

import pytest

from tests.platforms.node import JavaScriptError
from tests.platforms.zapier.connector import Connector
from tests.support.server import Server
from tests.support.typos import mistyped

TEST = "authentication.test"


def test_the_right_pair_connects(connector: Connector, server: Server) -> None:
    me = connector.run(TEST)
    assert me["key"]["client_key"] == server.client_key
    assert me["organization"]["name"] == server.organization


def test_blanks_that_were_copied_along_do_no_harm(connector: Connector) -> None:
    spacious = connector.connected_with(f" {connector.client_key}\n", f"{connector.client_secret} ")
    assert spacious.run(TEST) == connector.run(TEST)


def test_a_connection_is_labelled_with_the_organization_and_the_key(
    connector: Connector, server: Server
) -> None:
    me = connector.run(TEST)
    label = connector.run("authentication.connectionLabel", inputData=me)
    assert label == f"{server.organization} — {me['key_name']}"


def test_a_wrong_secret_does_not_connect_and_the_server_says_so(
    connector: Connector, server: Server
) -> None:
    right = connector.client_secret
    wrong = mistyped(right)
    refusal = server.call("GET", "/v1/me/", pair=f"{connector.client_key}:{wrong}")
    with pytest.raises(JavaScriptError) as raised:
        connector.connected_with(connector.client_key, wrong).run(TEST)
    assert raised.value.name == "ExpiredAuthError"
    assert raised.value.message == refusal.json()["detail"]
    assert right not in raised.value.message


def test_halves_in_the_wrong_places_do_not_connect(connector: Connector) -> None:
    swapped = connector.connected_with(connector.client_secret, connector.client_key)
    with pytest.raises(JavaScriptError) as raised:
        swapped.run(TEST)
    assert raised.value.name == "ExpiredAuthError"


@pytest.mark.parametrize(
    "garbage", ["", "short", "ключ-от-квартиры", "two lines\r\nX-Header: yes", "a" * 10 + ":"]
)
def test_garbage_is_named_before_it_is_sent(connector: Connector, garbage: str) -> None:
    with pytest.raises(JavaScriptError) as raised:
        connector.connected_with(connector.client_key, garbage).run(TEST)
    assert raised.value.name == "ExpiredAuthError"
    assert raised.value.message == ("This cannot be a Client Secret. Copy it again and reconnect.")
