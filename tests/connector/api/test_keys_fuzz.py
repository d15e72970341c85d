"""Whatever is sent to `/v1/keys/`, somebody is told what is wrong with it; nothing breaks."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connector.api.conftest import on_one_database
from tests.connector.api.office import Office

MEMBERS = [
    *("name", "scopes", "data_scope", "owner", "expires_at", "networks", "rate_limit"),
    *("overlap_seconds", "compromised", "starts_at", "ends_at", "reason", "other"),
]
telling: st.SearchStrategy[Any] = st.sampled_from(
    [
        *("", "meetings:read", "user_full", "legacy", "ada@northwind.example", "\x00", "\ud800"),
        *(
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "::/0",
            "10.0.0.0/8",
            "fe80::%1",
        ),
        *(0, -1, 2**31, 2**63, 10**30, 1e308, True, None, [], {}, [[]], ["x"] * 300),
    ]
)
values = telling | st.lists(telling, max_size=3) | st.text(max_size=5)
bodies = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=4) | values
headers = st.fixed_dictionaries(
    {},
    optional={
        "If-Match": st.sampled_from(["*", '"1"', '"0"', "W/1", '"99999999999999999999"', "", ","]),
        "Idempotency-Key": st.sampled_from(['"a"', "a", '"', "", "x" * 300]),
    },
)
paths = st.sampled_from(
    [
        *("", "self/", "none/", "self/regenerate/", "self/finish/", "self/uses/", "self/spikes/"),
        *("self/spikes/none/", "try/", "limit/"),
    ]
)
QUERY = ["page=0", "page_size=101", "state=x", "page=99999999999", "page=1000000000", ""]


@on_one_database
@given(
    method=st.sampled_from(["GET", "POST", "PATCH"]),
    path=paths,
    query=st.sampled_from(QUERY),
    body=bodies,
    more=headers,
)
@settings(max_examples=300)
def test_any_request_gets_an_answer_that_says_what_is_wrong(
    office: Office, method: str, path: str, query: str, body: Any, more: dict[str, str]
) -> None:
    manager = office.manager()

    answer = manager.open(
        f"/v1/keys/{path}?{query}",
        method=method,
        data=json.dumps(body),
        headers=more,
    )

    assert answer.status_code < 500, answer.data
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["detail"]


@pytest.mark.parametrize("text", ["{", "\x00", "[" * 100_000, '{"name": ' + "9" * 5000 + "}"])
@on_one_database
def test_what_is_no_json_is_told_so(office: Office, text: str) -> None:
    answer = office.manager().post(
        "/v1/keys/", data=text, headers={"Idempotency-Key": "1", "If-Match": '"1"'}
    )

    assert answer.status_code == 400
