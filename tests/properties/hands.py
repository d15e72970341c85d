"""How a machine does what it does to keys: by calling the services, or over HTTP as a client does.

Both raise the services' errors; what HTTP answers is read back into them.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from werkzeug.test import TestResponse

from connector.app import assemble, create_app
from keystore import errors
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import ManualClock, rising
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.keys import Issued, Keys
from keystore.leaks import Leaks
from keystore.limits import Limits
from keystore.mail import Mails
from keystore.models import Key
from keystore.overlaps import Overlaps
from keystore.scopes import PRESETS
from keystore.settings import Settings
from keystore.vault import Vault
from keystore.verification import Verification
from tests.conftest import QUICK_HASHER

Seen = tuple[UUID, str, int | None]  # a key's id and name; which secret was shown, where it is told


class Hands:
    """Those of somebody who calls the services."""

    #: The key with which these hands manage others, if they need one.
    own: UUID | None = None

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database, self.clock = database, clock
        self.start()

    def start(self) -> None:
        """Begin anew, as a process does that remembers nothing."""
        clock, vault = rising(self.clock), Vault([SecretValue("k" * 64)])
        self.process_clock = clock
        self.keys = Keys(vault, clock)
        self.leaks = Leaks(vault, clock, Mails(vault), "https://keyhook.example")
        self.verification = Verification(self.database, vault, clock)
        self.overlaps = Overlaps(clock)

    def found(self) -> None:
        with self.database.session() as session:
            organization = Accounts(self.clock, QUICK_HASHER).create_organization(
                session, name=str(uuid4()), actor=SYSTEM
            )
        self.organization_id = organization.id
        self.where: dict[str, Any] = {"organization_id": organization.id, "actor": SYSTEM}

    def create(self, name: str) -> Issued:
        with self.database.session() as session:
            return self.keys.create(session, name=name, **self.where)

    def rename(self, key_id: UUID, name: str) -> None:
        with self.database.session() as session:
            self.keys.rename(session, key_id, name=name, **self.where)

    def regenerate(self, key_id: UUID, generation: int, overlap: timedelta) -> Issued:
        with self.database.session() as session:
            return self.keys.regenerate(
                session, key_id, generation=generation, overlap=overlap, **self.where
            )

    def finish(self, key_id: UUID) -> None:
        with self.database.session() as session:
            self.keys.finish(session, key_id, **self.where)

    def set_expiry(self, key_id: UUID, expires_at: datetime | None) -> None:
        with self.database.session() as session:
            self.keys.set_expiry(session, key_id, expires_at=expires_at, **self.where)

    def switch(self, key_id: UUID, *, disable: bool) -> None:
        with self.database.session() as session:
            (self.keys.disable if disable else self.keys.enable)(session, key_id, **self.where)

    def delete(self, key_id: UUID) -> None:
        with self.database.session() as session:
            self.keys.delete(session, key_id, **self.where)

    def tidy(self) -> None:
        """Do what is done now and again beside the requests."""
        with self.database.session() as session:
            self.overlaps.end(session)

    def verify(self, client_key: str, client_secret: str) -> Seen | None:
        verified = self.verification.by_secret(client_key, client_secret)
        return verified and (verified.key_id, verified.name, verified.generation)


class HandsOverHttp(Hands):
    """Those of a client with a key that manages keys."""

    def __init__(self, database: Database, clock: ManualClock, settings: Settings) -> None:
        self.settings = settings
        super().__init__(database, clock)

    def start(self) -> None:
        super().start()
        parts = assemble(self.settings, self.process_clock)
        parts.services.db.dispose()  # one pool of connections is enough
        services = replace(
            parts.services,
            db=self.database,
            verification=self.verification,
            limits=Limits(self.database, self.clock, self.settings.rate_limit),
        )
        self.app: Flask = create_app(replace(parts, services=services))

    def found(self) -> None:
        super().found()
        with self.database.session() as session:
            manager = self.keys.create(
                session, name="Manager", granted=PRESETS["manage"].operations, **self.where
            )
        self.own = manager.key.id
        self.pair = f"{manager.key.client_key}:{manager.client_secret.reveal()}"

    def create(self, name: str) -> Issued:
        return issued(self._ask("POST", "", json={"name": name, "scopes": ["meetings:read"]}))

    def rename(self, key_id: UUID, name: str) -> None:
        self._ask("PATCH", f"{key_id}/", json={"name": name})

    def regenerate(self, key_id: UUID, generation: int, overlap: timedelta) -> Issued:
        return issued(
            self._ask(
                "POST",
                f"{key_id}/regenerate/",
                json={"overlap_seconds": int(overlap.total_seconds())},
                headers={"If-Match": f'"{generation}"'},
            )
        )

    def finish(self, key_id: UUID) -> None:
        self._ask("POST", f"{key_id}/finish/")

    def set_expiry(self, key_id: UUID, expires_at: datetime | None) -> None:
        moment = None if expires_at is None else expires_at.isoformat()
        self._ask("PATCH", f"{key_id}/", json={"expires_at": moment})

    def switch(self, key_id: UUID, *, disable: bool) -> None:
        self._ask("POST", f"{key_id}/{'disable' if disable else 'enable'}/")

    def delete(self, key_id: UUID) -> None:
        """To delete once more is the same as once; only who looked before knows the difference."""
        before = self._ask("GET", f"{key_id}/").json
        after = self._ask("DELETE", f"{key_id}/").json
        assert before is not None
        if before["state"] == "deleted":
            assert after == before
            raise errors.KeyNotFound

    def verify(self, client_key: str, client_secret: str) -> Seen | None:
        answer = self._call("GET", "self/", f"{client_key}:{client_secret}")
        if answer.status_code == 401:
            return None
        assert answer.status_code == 200, answer.text
        key = answer.get_json()
        return (UUID(key["id"]), key["name"], None)

    def _ask(self, method: str, path: str, **more: Any) -> TestResponse:
        answer = self._call(method, path, self.pair, **more)
        if answer.status_code >= 400:
            raise refusal(answer)
        return answer

    def _call(self, method: str, path: str, pair: str, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {pair}"} | more.pop("headers", {})
        client = self.app.test_client()
        return client.open(f"/v1/keys/{path}", method=method, headers=headers, **more)


def issued(answer: TestResponse) -> Issued:
    key = answer.get_json()
    assert answer.headers["Cache-Control"] == "no-store"
    return Issued(
        Key(id=UUID(key["id"]), client_key=key["client_key"], generation=key["generation"]),
        SecretValue(key["client_secret"]),
    )


def refusal(answer: TestResponse) -> errors.KeystoreError:
    """Return the error that is behind a problem."""
    if answer.status_code == 412:
        return errors.GenerationConflict()
    detail = answer.get_json()["detail"]
    kinds = (
        errors.KeyNotFound,
        errors.KeyExpired,
        errors.KeyDisabled,
        errors.NameTaken,
        errors.BadExpiry,
    )
    found = [kind for kind in kinds if kind.detail in detail]
    assert found, answer.text
    return found[0]()
