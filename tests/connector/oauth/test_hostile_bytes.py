"""Whatever is sent is answered, and nothing crashes."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from connector import oauth
from keystore.keys import Issued
from tests.connector.oauth.asking import ENDPOINTS, ask, basic, on_one_database, pair

TEXT = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["client_credentials", "meetings:read", "%", "%zz", "khk", "kht" + "0" * 59]),
)
NAMES = ("grant_type", "scope", "client_id", "client_secret", "token", "token_type_hint")


@pytest.fixture
def quiet(app: Flask, issued: Issued) -> FlaskClient:
    """A caller for many hostile requests, who has a right pair as well."""
    client = app.test_client()
    client.environ_base["keyhook.right"] = basic(":".join(pair(issued)))
    return client


@on_one_database
@given(
    st.sampled_from(ENDPOINTS),
    st.one_of(
        st.none(),
        st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")),
        st.binary(max_size=80).map(basic),
        TEXT.map(lambda text: basic(text.encode("utf-8", "surrogatepass"))),
    ),
    st.binary(max_size=200),
    st.sampled_from(
        [oauth.FORM, oauth.FORM + "; charset=utf-16", "multipart/form-data; boundary=x", "é"]
    ),
)
def test_no_bytes_make_it_crash(
    quiet: FlaskClient, path: str, header: str | None, raw: bytes, content_type: str
) -> None:
    for authorization in (header, quiet.environ_base["keyhook.right"]):
        environ = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
        environ["CONTENT_TYPE"] = content_type
        answer = quiet.post(path, data=raw, environ_overrides=environ)
        assert answer.status_code in {200, 400, 401}
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.is_json


@on_one_database
@given(st.sampled_from(ENDPOINTS), st.dictionaries(st.sampled_from(NAMES), TEXT), st.booleans())
def test_no_parameters_make_it_crash(
    quiet: FlaskClient, path: str, form: dict[str, str], right: bool
) -> None:
    header = quiet.environ_base["keyhook.right"] if right else None

    answer = ask(quiet, header, path, **form)

    assert answer.status_code in ({200, 400} if right else {401})
    if answer.status_code != 200:
        assert answer.json is not None
        description = answer.json.get("error_description", "")
        assert all(" " <= character <= "~" and character not in '"\\' for character in description)
