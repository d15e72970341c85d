"""Slowing down whoever guesses, without keeping the owner out.

Each failed try counts against the account that was tried and against the address it came from.
After a few, the next one has to wait; each further failure doubles the wait. A try is counted
before the password is checked and taken back when it was right, in one transaction each, so that
a hundred tries at once, over any number of processes, are a hundred tries.

A browser in which this person has signed in before (OWASP calls it a device cookie) has a count of
its own: what strangers do to the account, or from the same network, does not make it wait. An
e-mail address that nobody has here is counted like any other: waiting tells nothing about who has
an account.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.db import inserting, writing
from keystore.errors import TooManyFailures
from keystore.models import Failures
from keystore.vault import Vault

#: Failures that cost nothing: people mistype; and an office shares one address.
FREE_FOR_ACCOUNT = 5
FREE_FOR_ADDRESS = 20
LONGEST_WAIT = timedelta(minutes=15)
#: After as long without a try, all is forgotten.
FORGOTTEN_AFTER = timedelta(days=1)
#: Whoever has a network of this size may use any address in it.
IPV6_NETWORK = 64


@dataclass(frozen=True)
class Try:
    """One attempt: what it is counted against, each with its free failures."""

    buckets: tuple[tuple[str, int], ...]


class Throttle:
    """Counts failures in the database."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def begin(
        self, session: Session, account: str, *, address: str | None, device: str | None = None
    ) -> Try:
        """Count a try before it is made. Raises TooManyFailures when it has to wait.

        The account is any text; a device is the name of a browser known to be this person's.
        """
        if device:
            limits = [(f"device {device} {account}", FREE_FOR_ACCOUNT)]
        else:
            limits = [
                (f"account {account}", FREE_FOR_ACCOUNT),
                (f"address {_network(address)}", FREE_FOR_ADDRESS),
            ]
        # Sorted, so that two transactions lock their rows in one order.
        buckets = tuple(sorted((self._name(text), free) for text, free in limits))
        now = self._clock.now()
        with writing(session):
            session.execute(delete(Failures).where(Failures.last_at <= now - FORGOTTEN_AFTER))
            rows = [(self._locked(session, name, now), free) for name, free in buckets]
            until = max(row.blocked_until for row, _ in rows)
            if until > now:
                raise TooManyFailures(until - now)
            for row, free in rows:
                row.count += 1
                row.last_at = now
                row.blocked_until = now + wait(row.count - free)
        return Try(buckets)

    def succeed(self, session: Session, attempt: Try) -> None:
        """Take a try back that was right: the account starts anew, the address has one less."""
        now = self._clock.now()
        with writing(session):
            for name, free in attempt.buckets:
                if free == FREE_FOR_ACCOUNT:
                    session.execute(delete(Failures).where(Failures.bucket == name))
                else:
                    session.execute(
                        update(Failures)
                        .where(Failures.bucket == name, Failures.count > 0)
                        .values(count=Failures.count - 1, blocked_until=now)
                    )

    def _name(self, text: str) -> str:
        """Return a digest, as people type passwords into the wrong field."""
        return self._vault.digest(f"throttle {text}")

    @staticmethod
    def _locked(session: Session, name: str, now: datetime) -> Failures:
        # One statement that inserts or locks: between two, a success could delete the row.
        return session.scalars(
            inserting(session.get_bind().dialect, Failures)
            .values(bucket=name, count=0, last_at=now, blocked_until=now)
            .on_conflict_do_update(index_elements=["bucket"], set_={"bucket": name})
            .returning(Failures),
            execution_options={"populate_existing": True},
        ).one()


def wait(failures: int) -> timedelta:
    """Return how long to wait after this many failures beyond the free ones: 1, 2, 4 ... s."""
    if failures < 0:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures, 20)), LONGEST_WAIT)


def _network(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, IPV6_NETWORK), strict=False))
    return str(parsed)
