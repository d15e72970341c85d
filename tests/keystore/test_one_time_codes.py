"""One-time codes, as the RFC has them."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import one_time_codes
from keystore.credentials import SecretValue

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    # RFC 6238, appendix B, for SHA-1; the last six of its eight digits.
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)

    assert one_time_codes.code(RFC_SECRET, one_time_codes.step(at)) == code
    assert one_time_codes.matching_step(RFC_SECRET, code, at) == one_time_codes.step(at)


@given(
    st.binary(min_size=20, max_size=20),
    st.integers(10**9, 5 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(-3, 3),
)
def test_a_code_is_good_for_one_period_to_either_side(
    secret: bytes, at: datetime, off: int
) -> None:
    now = one_time_codes.step(at)
    near = {one_time_codes.code(secret, now + n) for n in (-1, 0, 1)}
    code = one_time_codes.code(secret, now + off)

    assert (one_time_codes.matching_step(secret, code, at) is not None) == (code in near)


@pytest.mark.parametrize("text", ["", "28708", "2870820", "28708x", "２８７０８２", "\ud800"])
def test_what_is_no_code_fits_nothing(text: str) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=59)

    assert one_time_codes.matching_step(RFC_SECRET, text, at) is None


@given(st.binary(min_size=20, max_size=20), st.text(), st.emails())
def test_an_app_reads_from_the_address_what_we_wrote(
    secret: bytes, issuer: str, account: str
) -> None:
    issuer = issuer.encode("utf-8", "replace").decode()
    text = one_time_codes.as_text(secret)
    address = urlsplit(one_time_codes.address(text, issuer=issuer, account=account).reveal())

    query = parse_qs(address.query, keep_blank_values=True)
    assert one_time_codes.as_bytes(SecretValue(query["secret"][0])) == secret
    assert query["issuer"] == [issuer]
    assert unquote(address.path) == f"/{issuer}:{account}"
