"""Anything at all, put as a meeting: taken and given back unchanged, or refused by field."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.meetings.fields import EARLIEST, LATEST, MAX_SECONDS, is_email
from tests.connector.api.test_meetings import PATH, check_meeting
from tests.connector.meetings.support import sent
from tests.connector.meetings.test_ingest import JSON


def whole_minutes_offset(moment: datetime) -> str:
    """Write a moment as RFC 3339, which knows no offsets with seconds, as zones once had them."""
    offset = moment.utcoffset()
    assert offset is not None
    whole = timezone(timedelta(minutes=offset // timedelta(minutes=1)))
    return moment.astimezone(whole).isoformat()


@settings(max_examples=60)
@given(
    st.one_of(
        JSON,
        st.dictionaries(st.sampled_from(sorted(sent() | {"transcript": 0, "type": 0})), JSON).map(
            lambda changes: sent(**changes)
        ),
    )
)
def test_no_json_makes_us_stumble(api: FlaskClient, data: Any) -> None:
    for method in ("PUT", "PATCH"):
        answer = api.open(PATH, method=method, data=json.dumps(data))
        assert answer.status_code in {200, 201, 422}, answer.data
        json.loads(answer.data)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
LABEL = TEXT.filter(str.strip).map(lambda text: {"label": text})
IDS = st.fixed_dictionaries({"crm_obj_id": TEXT.filter(len), "crm_obj_type": TEXT.filter(len)})
MOMENTS = st.datetimes(
    EARLIEST.replace(year=1971, tzinfo=None),
    LATEST.replace(year=2198, tzinfo=None),
    timezones=st.timezones(),
)


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        {"subject": TEXT, "disable_reason": TEXT},
        optional={
            "purpose": LABEL,
            "outcome": LABEL,
            "notes": st.lists(st.fixed_dictionaries({"heading": TEXT, "text": TEXT}), max_size=2),
            "duration": st.floats(0, MAX_SECONDS) | st.integers(0, int(MAX_SECONDS)),
            "crm_associations": st.lists(IDS, max_size=2, unique_by=str),
            "organizer_email": TEXT.map(lambda text: f"{text}@b.example").filter(is_email),
            "start_at": MOMENTS.map(whole_minutes_offset),
            "call_details": st.fixed_dictionaries(
                {"external_id": TEXT.filter(len), "frm": TEXT, "to": TEXT}
            ),
        },
    )
)
def test_what_is_taken_is_given_back_unchanged(api: FlaskClient, changes: dict[str, Any]) -> None:
    answer = api.put(PATH, data=json.dumps(sent(end_at=None) | changes))
    assert answer.status_code in {200, 201}, answer.data
    check_meeting(answer.json)
    shown = api.get(PATH, query_string={"include_crm_associations": "true"}).get_json()
    assert shown == answer.json
    assert shown["subject"] == changes["subject"]
    again = api.put(PATH, data=json.dumps(shown))
    assert (again.status_code, again.json) == (200, shown)
