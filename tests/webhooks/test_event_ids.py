from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from webhooks.event_ids import new_event_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=365_000)).map(lambda since: EPOCH + since)


@given(now=MOMENTS)
def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond(now: datetime) -> None:
    made = new_event_id(now)
    assert (made.version, made.variant) == (7, RFC_4122)
    told = EPOCH + timedelta(milliseconds=made.int >> 80)
    assert timedelta(0) <= now - told < timedelta(milliseconds=1)


@given(now=MOMENTS, step=st.timedeltas(timedelta(milliseconds=1), timedelta(days=300)))
def test_what_happens_later_has_a_greater_id(now: datetime, step: timedelta) -> None:
    assert new_event_id(now) < new_event_id(now + step)


def test_what_happens_at_once_has_ids_of_its_own() -> None:
    made = [new_event_id(EPOCH) for _ in range(1000)]
    assert len({*made}) == 1000
    # By either part that is left to chance.
    assert len({one.int >> 64 & 0xFFF for one in made}) > 500
    assert len({one.int & (1 << 62) - 1 for one in made}) == 1000
