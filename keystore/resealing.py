"""Replacing the installation's secret key: everything sealed is sealed again with the newest one.

Reads some rows, seals them anew outside of any transaction, and writes each back only if it is
still what was read; so servers may run meanwhile, and wherever this is broken off, every row is
whole and opens. What is done is told by the rows themselves: the next run goes on with the rest.

Digests cannot be made again, as nobody knows the texts; they stay with their key until what they
are of is replaced. That key has to be kept as long: `needs` counts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, LargeBinary, func, literal, literal_column, select, update
from sqlalchemy.orm import InstrumentedAttribute

from keystore import mail, second_factor
from keystore.db import Database, writing
from keystore.errors import VaultError
from keystore.knocks import knock_context
from keystore.mail_models import Knock, Mail
from keystore.models import AccessToken, Factor, RecoveryCode, Secret
from keystore.rotation import SecretState
from keystore.vault import KEY_ID_BYTES, Vault

BATCH = 200

# Spelled out, not as parameters: PostgreSQL is to see that what is grouped by is what is selected.
_FIRST: ColumnElement[int] = literal_column("1")
_FOURTH: ColumnElement[int] = literal_column("4")
_ID_BYTES: ColumnElement[int] = literal_column(str(KEY_ID_BYTES))
_ID_DIGITS: ColumnElement[int] = literal_column(str(2 * KEY_ID_BYTES))


@dataclass(frozen=True)
class Sealed:
    """A column of sealed values. context: what a row's value is sealed for, by its primary key."""

    name: str  # for a person's eyes
    column: InstrumentedAttribute[Any]
    identity: InstrumentedAttribute[Any]
    context: Callable[[Any], str]

    @property
    def of_key(self) -> ColumnElement[bytes]:
        """The part of a value that says which key sealed it."""
        return func.substr(self.column, _FIRST, _ID_BYTES, type_=LargeBinary())


@dataclass(frozen=True)
class Digested:
    """A column of digests, and which of them still count."""

    name: str
    column: InstrumentedAttribute[Any]
    counts: ColumnElement[bool]


#: What is sealed on this floor.
SEALED = (
    Sealed("one-time-code seeds", Factor.sealed_secret, Factor.user_id, second_factor.context),
    Sealed("mails", Mail.sealed_text, Mail.id, mail.context),
    Sealed("sign-ins to look into", Knock.sealed_email, Knock.id, knock_context),
)
DIGESTED = (
    Digested("client secrets", Secret.digest, Secret.state != SecretState.DEAD),
    Digested("access tokens", AccessToken.digest, AccessToken.digest.is_not(None)),
    Digested("recovery codes", RecoveryCode.digest, RecoveryCode.used_at.is_(None)),
)


class Need(NamedTuple):
    """How many rows of one kind need a secret key."""

    key_id: str  # 8 hexadecimal characters
    name: str
    is_sealed: bool  # and so can be sealed again
    rows: int


class Done(NamedTuple):
    """What a run came to."""

    sealed: Mapping[str, int]  # values that were sealed again, by the name of their kind
    unopened: Mapping[str, int]  # values that no key of ours opens; they were left alone


class Resealing:
    """Seals again, and counts what needs which key."""

    def __init__(
        self, db: Database, vault: Vault, places: Sequence[Sealed], *, batch: int = BATCH
    ) -> None:
        """Take all the places where something sealed is; batch: rows per transaction."""
        self._db = db
        self._vault = vault
        self._places = tuple(places)
        self._batch = batch

    def run(self) -> Done:
        """Seal everything with the newest key, until a look at all of it finds nothing to do.

        One look is not enough: what a server moves meanwhile from one column to another may pass
        behind us.
        """
        sealed, unopened = Counter[str](), Counter[str]()
        while True:
            unopened.clear()
            before = sealed.total()
            for place in self._places:
                for rows in self._old(place):
                    self._reseal(place, rows, sealed, unopened)
            if sealed.total() == before:
                return Done(dict(sealed), dict(unopened))

    def needs(self) -> list[Need]:
        """Count how many rows need which key, in one read transaction."""
        found = []
        with self._db.session() as session, session.begin():
            for place in self._places:
                counted = session.execute(
                    select(place.of_key, func.count())
                    .where(place.column.is_not(None))
                    .group_by(place.of_key)
                )
                found += [Need(key.hex(), place.name, True, rows) for key, rows in counted]
            for kind in DIGESTED:
                # `v1$<key id>$...`
                of_key = func.substr(kind.column, _FOURTH, _ID_DIGITS)
                digests = session.execute(
                    select(of_key, func.count()).where(kind.counts).group_by(of_key)
                )
                found += [Need(str(key), kind.name, False, rows) for key, rows in digests]
        return found

    def _old(self, place: Sealed) -> Iterator[Sequence[tuple[Any, bytes]]]:
        """Yield the rows that another key than the newest one sealed, batch by batch."""
        newest = literal(bytes.fromhex(self._vault.key_ids[0]), LargeBinary())
        query = (
            select(place.identity, place.column)
            .where(place.column.is_not(None), place.of_key != newest)
            .order_by(place.identity)
            .limit(self._batch)
        )
        last = None
        while True:
            further = query if last is None else query.where(place.identity > last)
            with self._db.session() as session, session.begin():
                rows = [(row[0], row[1]) for row in session.execute(further)]
            if not rows:
                return
            last = rows[-1][0]
            yield rows

    def _reseal(
        self,
        place: Sealed,
        rows: Sequence[tuple[Any, bytes]],
        sealed: Counter[str],
        unopened: Counter[str],
    ) -> None:
        anew = []
        for identity, old in rows:
            context = place.context(identity)
            try:
                anew.append(
                    (identity, old, self._vault.seal(self._vault.open(old, context), context))
                )
            except VaultError:
                unopened[place.name] += 1
        with self._db.session() as session, writing(session):
            for identity, old, new in anew:
                changed = session.execute(
                    update(place.column.class_)
                    .where(place.identity == identity, place.column == old)
                    .values({place.column.key: new})
                    .returning(place.identity),
                    execution_options={"synchronize_session": False},
                ).all()
                sealed[place.name] += len(changed)
