import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.conftest import NOTE_GONE, NOTE_READY
from webhooks import choices
from webhooks.catalog import Catalog, EventType
from webhooks.errors import BadChoice, BadTargetType, ScopeLacking, UnknownEventType

PARTS = {"transcript": frozenset({"said"}), "notes": frozenset({"html", "text"})}
WHOLE = EventType("whole", "", "", {}, {}, frozenset(), PARTS)
ALL = frozenset({"webhooks:manage", "notes:read"})


def test_event_types_are_known_each_once_and_within_ones_scopes(catalog: Catalog) -> None:
    both = choices.wanted(catalog, ["note.gone", "note.ready", "note.gone"], ALL)
    assert both == (NOTE_GONE, NOTE_READY)
    assert choices.wanted(catalog, "note.ready", ALL) == (NOTE_READY,)
    for names, error in (
        ([], BadChoice),
        (["note.gone", "note.raedy"], UnknownEventType),
    ):
        with pytest.raises(error):
            choices.wanted(catalog, names, ALL)
    with pytest.raises(ScopeLacking):
        choices.wanted(catalog, ["note.gone", "note.ready"], frozenset({"webhooks:manage"}))


@pytest.mark.parametrize(
    ("asked", "types", "by_team", "meant"),
    [
        (None, ["new_conversation"], False, 1),
        (None, ["new_conversation"], True, 2),
        (None, ["AINOTE", "new_conversation"], False, 2),
        (1, ["AINOTE"], False, 1),
        (2, ["new_conversation"], True, 2),
    ],
)
def test_what_is_not_said_of_the_target_type_follows_from_the_rest(
    asked: int | None, types: list[str], by_team: bool, meant: int
) -> None:
    assert choices.target_type(asked, types, by_team=by_team) == meant


def test_teams_are_for_one_target_type_and_there_are_two() -> None:
    with pytest.raises(BadChoice, match="Teams"):
        choices.target_type(1, ["AINOTE"], by_team=True)
    with pytest.raises(BadTargetType):
        choices.target_type(3, ["AINOTE"], by_team=False)


def test_only_parts_that_the_event_types_have_can_be_left_out() -> None:
    assert choices.parts_left_out(["transcript", "notes", "notes"], [WHOLE]) == "notes transcript"
    assert choices.parts_left_out([], [NOTE_READY]) == ""
    with pytest.raises(BadChoice, match="notes, transcript"):
        choices.parts_left_out(["insights"], [WHOLE, NOTE_READY])
    with pytest.raises(BadChoice, match="have no parts"):
        choices.parts_left_out(["notes"], [NOTE_READY])


def test_a_rate_is_a_number_of_deliveries_or_the_hosts_own() -> None:
    assert (choices.check_rate(1), choices.check_rate(0)) == (1, None)
    for rate in (-1, choices.MAX_RATE + 1):
        with pytest.raises(BadChoice):
            choices.check_rate(rate)


def test_headers_may_carry_a_credential() -> None:
    lines = choices.header_lines({"X-Tenant": "north wind", "Authorization": "Bearer abc"})
    assert lines == {"authorization": "Bearer abc", "x-tenant": "north wind"}
    assert choices.read(choices.written(lines)) == lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "example.com"),
        ("content-type", "text/plain"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "close"),
        ("proxy-authorization", "x"),
        ("webhook-signature", "v1,x"),
        ("X-Avoma-Signature", "00"),
        ("user-agent", "x"),
        ("", "x"),
        ("x y", "x"),
        ("x:", "x"),
        ("é", "x"),
        ("x" * 65, "x"),
        ("x", ""),
        ("x", " a"),
        ("x", "a\r\nhost: evil"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x", "é"),
        ("x", "a" * 1025),
    ],
)
def test_a_header_that_would_steer_or_split_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadChoice):
        choices.header_lines({name: value})


def test_headers_are_counted_and_bounded_and_each_is_there_once() -> None:
    for headers in (
        {f"x-{number}": "1" for number in range(choices.MAX_HEADERS + 1)},
        {f"x-{number}": "1" * 1024 for number in range(4)},
        {"x-a": "1", "X-A": "2"},
    ):
        with pytest.raises(BadChoice):
            choices.header_lines(headers)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4))
def test_whatever_is_asked_for_no_header_breaks_out_of_its_line(headers: dict[str, str]) -> None:
    try:
        lines = choices.header_lines(headers)
    except BadChoice:
        return
    for name, value in lines.items():
        assert f"{name}: {value}".isprintable()
        assert f"{name}: {value}".isascii()
        assert ":" not in name
        assert value == value.strip() != ""
