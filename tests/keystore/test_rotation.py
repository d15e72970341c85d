"""The life of a secret, decided without a database."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import rotation
from keystore.errors import GenerationConflict, KeyNotFound
from keystore.rotation import KeyLife, SecretState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.integers(1, 10**6), st.integers(-5, 5))
def test_only_who_has_seen_the_current_generation_may_replace_it(current: int, off: int) -> None:
    key = KeyLife(current, deleted_at=None)
    if off == 0:
        assert rotation.next_generation(key, current) == current + 1
    else:
        with pytest.raises(GenerationConflict):
            rotation.next_generation(key, current + off)


def test_a_deleted_key_has_no_next_generation() -> None:
    with pytest.raises(KeyNotFound):
        rotation.next_generation(KeyLife(1, deleted_at=NOON), 1)


def test_only_the_current_secret_of_a_live_key_authenticates() -> None:
    assert rotation.authenticates(SecretState.CURRENT, key_deleted_at=None)
    assert not rotation.authenticates(SecretState.CURRENT, key_deleted_at=NOON)
    assert not rotation.authenticates(SecretState.DEAD, key_deleted_at=None)
