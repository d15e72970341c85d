"""The life of a key and its secrets, decided without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import rotation
from keystore.errors import (
    BadExpiry,
    BadOverlap,
    GenerationConflict,
    KeyDisabled,
    KeyExpired,
    KeyNotFound,
)
from keystore.rotation import KeyLife, KeyState, SecretState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)

overlaps = st.timedeltas(timedelta(0), rotation.LONGEST_OVERLAP)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


def key(
    generation: int = 1,
    expires_at: datetime | None = None,
    disabled_at: datetime | None = None,
    deleted_at: datetime | None = None,
) -> KeyLife:
    return KeyLife(generation, expires_at, disabled_at, deleted_at)


@given(st.integers(1, 10**6), st.integers(-5, 5))
def test_only_who_has_seen_the_current_generation_may_replace_it(current: int, off: int) -> None:
    def regenerate() -> rotation.Successor:
        return rotation.regenerate(key(current), seen=current + off, overlap=DAY, now=NOON)

    if off == 0:
        assert regenerate() == rotation.Successor(current + 1, NOON + DAY)
    else:
        with pytest.raises(GenerationConflict):
            regenerate()


def test_without_an_overlap_the_former_secret_is_dead_at_once() -> None:
    successor = rotation.regenerate(key(), seen=1, overlap=rotation.NO_OVERLAP, now=NOON)

    assert successor == rotation.Successor(2, None)


@given(overlaps, moments)
def test_r4_an_overlap_never_outlives_the_key(overlap: timedelta, expires_at: datetime) -> None:
    try:
        successor = rotation.regenerate(
            key(expires_at=expires_at), seen=1, overlap=overlap, now=NOON
        )
    except KeyExpired:
        assert expires_at <= NOON
    else:
        assert successor.former_until is None or NOON < successor.former_until <= expires_at


@pytest.mark.parametrize("overlap", [-TICK, rotation.LONGEST_OVERLAP + TICK])
def test_an_overlap_is_at_most_seven_days(overlap: timedelta) -> None:
    with pytest.raises(BadOverlap):
        rotation.regenerate(key(), seen=1, overlap=overlap, now=NOON)


@pytest.mark.parametrize(
    ("life", "error"),
    [
        (key(deleted_at=NOON), KeyNotFound),
        (key(expires_at=NOON), KeyExpired),
        (key(disabled_at=NOON), KeyDisabled),
        (key(disabled_at=NOON, expires_at=NOON), KeyExpired),
    ],
)
def test_r5_what_is_dead_or_asleep_is_not_regenerated(
    life: KeyLife, error: type[Exception]
) -> None:
    with pytest.raises(error):
        rotation.regenerate(life, seen=1, overlap=DAY, now=NOON)


def test_a2_a_moment_belongs_to_what_comes_after_it() -> None:
    expiring = key(expires_at=NOON)
    for state, until in ((SecretState.CURRENT, None), (SecretState.RETIRING, NOON)):
        life = expiring if until is None else key()
        assert rotation.authenticates(state, until, life, NOON - TICK)
        assert not rotation.authenticates(state, until, life, NOON)
        assert not rotation.lapsed(state, until, life, NOON - TICK)
        assert rotation.lapsed(state, until, life, NOON)


def test_a_disabled_keys_secrets_sleep_and_do_not_lapse() -> None:
    asleep = key(disabled_at=NOON)

    assert asleep.state(NOON) is KeyState.DISABLED
    assert not rotation.authenticates(SecretState.CURRENT, None, asleep, NOON)
    assert not rotation.lapsed(SecretState.CURRENT, None, asleep, NOON)


@given(moments, moments)
def test_the_dead_stay_dead(now: datetime, until: datetime) -> None:
    assert not rotation.authenticates(SecretState.DEAD, until, key(), now)
    assert rotation.lapsed(SecretState.DEAD, until, key(), now)


def test_an_expiry_lies_ahead_and_an_expired_key_gets_no_other() -> None:
    rotation.check_expiry(key(), NOON + TICK, NOON)
    rotation.check_expiry(key(expires_at=NOON + DAY), None, NOON)
    with pytest.raises(BadExpiry):
        rotation.check_expiry(key(), NOON, NOON)
    with pytest.raises(KeyExpired):
        rotation.check_expiry(key(expires_at=NOON), NOON + DAY, NOON)
    with pytest.raises(KeyNotFound):
        rotation.check_expiry(key(deleted_at=NOON), None, NOON)
