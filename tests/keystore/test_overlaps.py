"""An overlap that is over is over, whether somebody shows the former secret or nobody does."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.models import Secret
from keystore.overlaps import Overlaps
from keystore.rotation import SecretState
from keystore.vault import Vault
from keystore.verification import Verification

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)


@pytest.fixture
def former(database: Database, keys: Keys, issued: Issued) -> Issued:
    """A key as it was before it was regenerated with an overlap of an hour."""
    with database.session() as session:
        keys.regenerate(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            generation=1,
            actor=SYSTEM,
            overlap=HOUR,
        )
    return issued


def end(database: Database, overlaps: Overlaps) -> int:
    with database.session() as session:
        return overlaps.end(session)


def states(database: Database) -> list[SecretState]:
    with database.session() as session, session.begin():
        return list(session.scalars(select(Secret.state).order_by(Secret.generation)))


def test_a6_no_clock_revives_a_secret_that_nobody_showed_after_its_end(
    database: Database, vault: Vault, clock: ManualClock, former: Issued
) -> None:
    clock.advance(2 * HOUR)
    assert end(database, Overlaps(clock)) == 1
    clock.advance(-1.5 * HOUR)
    anew = Verification(database, vault, clock)
    assert anew.by_secret(former.key.client_key, former.client_secret.reveal()) is None


@pytest.mark.usefixtures("former")
def test_a2_it_ends_at_its_moment_and_not_before(database: Database, clock: ManualClock) -> None:
    overlaps = Overlaps(clock)
    clock.advance(HOUR - TICK)
    assert end(database, overlaps) == 0
    assert states(database) == [SecretState.RETIRING, SecretState.CURRENT]
    clock.advance(TICK)
    assert end(database, overlaps) == 1
    assert states(database) == [SecretState.DEAD, SecretState.CURRENT]
    assert end(database, overlaps) == 0
