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
from keystore.rotation import Consequence, KeyLife, KeyState, LeakAction, LeakPolicy, SecretState

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


def test_r7_replacing_what_nobody_saw_spares_the_retiring_one_unless_it_is_compromised() -> None:
    planned = rotation.regenerate(key(2), seen=2, overlap=DAY, now=NOON, unseen=True)
    compromised = rotation.regenerate(
        key(2), seen=2, overlap=rotation.NO_OVERLAP, now=NOON, unseen=True
    )

    assert planned == rotation.Successor(3, None, spares_retiring=True)
    assert compromised == rotation.Successor(3, None)
    assert not rotation.regenerate(key(2), seen=2, overlap=DAY, now=NOON).spares_retiring


NOTHING = Consequence(LeakAction.NONE)
CURRENT, RETIRING, DEAD = SecretState
NOTIFY, RETIRE, KILL = LeakPolicy
TOMORROW, SOON = NOON + DAY, NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("policy", "state", "until", "expected"),
    [
        (NOTIFY, CURRENT, None, NOTHING),
        (NOTIFY, RETIRING, TOMORROW, NOTHING),
        (
            RETIRE,
            CURRENT,
            None,
            Consequence(LeakAction.RETIRED, TOMORROW, rotation.Successor(6, TOMORROW)),
        ),
        (KILL, CURRENT, None, Consequence(LeakAction.KILLED, None, rotation.Successor(6, None))),
        (RETIRE, RETIRING, SOON, NOTHING),
        (RETIRE, RETIRING, TOMORROW, NOTHING),
        (RETIRE, RETIRING, TOMORROW + TICK, Consequence(LeakAction.RETIRED, TOMORROW)),
        (KILL, RETIRING, SOON, Consequence(LeakAction.KILLED)),
        (KILL, RETIRING, NOON, NOTHING),
        (KILL, DEAD, None, NOTHING),
        (RETIRE, DEAD, None, NOTHING),
    ],
)
def test_what_a_leak_leads_to(
    policy: LeakPolicy, state: SecretState, until: datetime | None, expected: Consequence
) -> None:
    assert rotation.leaked(policy, state, until, key(5), NOON) == expected


@pytest.mark.parametrize(
    "life", [key(deleted_at=NOON), key(expires_at=NOON), key(disabled_at=NOON)]
)
def test_r5_a_leak_changes_nothing_of_what_is_dead_or_asleep(life: KeyLife) -> None:
    for policy in LeakPolicy:
        assert rotation.leaked(policy, SecretState.CURRENT, None, life, NOON) == NOTHING


@given(st.sampled_from(LeakPolicy), st.sampled_from([CURRENT, RETIRING]), moments, moments)
def test_r4_a_leak_lengthens_no_life(
    policy: LeakPolicy, state: SecretState, until: datetime, expires_at: datetime
) -> None:
    end = until if state is RETIRING else None
    found = rotation.leaked(policy, state, end, key(expires_at=expires_at), NOON)

    if found.until is not None:
        assert found.action is LeakAction.RETIRED
        assert NOON < found.until <= min(expires_at, NOON + rotation.LEAK_OVERLAP)
        assert end is None or found.until < end
    assert (found.successor is not None) == (state is CURRENT and found.action != LeakAction.NONE)
