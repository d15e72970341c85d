"""Whatever is sent to `/v1/webhooks/`, somebody is told what is wrong with it; nothing breaks."""

import json
from typing import Any

from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connector.api.conftest import on_one_database

NOBODY = "http://127.0.0.1:9/"  # nobody listens there
MEMBERS = [
    *("event_type", "event_types", "target_url", "target_type", "teams", "without", "headers"),
    *("rate", "scheme", "verify", "signing_secret", "overlap_seconds", "other"),
]
telling: st.SearchStrategy[Any] = st.sampled_from(
    [
        *("", "AINOTE", "new_conversation", "v1", "v1a", "challenge", "\x00", "\ud800", "x" * 3000),
        *(NOBODY, "https://10.0.0.1/", "http://[::ffff:127.0.0.1]:9/", "http://[", "//", "😀"),
        "B7F1A2C3-0000-4000-8000-000000000000",
        *(0, 1, 2, -1, 2**31, 2**63, 10**30, 1e308, float("nan"), True, None, [], {}, [[]]),
        *(["AINOTE"] * 300, {"host": "x"}, {"x": "y\r\nz: 1"}, {"\ud800": "x"}, {"x-a": "\ud800"}),
    ]
)
values = telling | st.lists(telling, max_size=3) | st.text(max_size=5)
GOOD = {"event_type": "AINOTE", "target_url": NOBODY}
some = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=4)
bodies = some | some.map(lambda more: GOOD | more) | values
PATHS = [
    *("", "{id}/", "{id}/rotate/", "{id}/test/", "none/", "none/rotate/", "none/test/"),
    *("signing-secret/", "signing-secret/rotate/"),
]


@on_one_database
@given(method=st.sampled_from(["GET", "POST", "PATCH"]), path=st.sampled_from(PATHS), body=bodies)
@settings(max_examples=250)
def test_any_request_gets_an_answer_that_says_what_is_wrong(
    api: FlaskClient, method: str, path: str, body: Any
) -> None:
    if "{id}" in path:
        path = path.format(id=api.post("/v1/webhooks/", json=GOOD).get_json()["id"])

    answer = api.open(f"/v1/webhooks/{path}", method=method, data=json.dumps(body))

    assert answer.status_code < 500, answer.data
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["detail"]
