"""An organization with a key and subscriptions on either database, and who sends and receives."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, update

from connector.serving import settle
from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import SystemClock
from keystore.db import Database, writing
from keystore.keys import Keys
from tests.benchmarks.deliver import BENCH, BODY, CLOCK, LOOPBACK, VAULT
from tests.support.databases import PostgreSQL, fresh_database, sqlite_template
from tests.support.many import subscribe_many
from tests.support.server import free_port
from webhooks import outbox
from webhooks.catalog import Catalog, EventType
from webhooks.models import IS_PENDING, Delivery, DeliveryState, Lane, Subscription
from webhooks.subscriptions import Subscribed, Subscriptions
from webhooks.worker import Worker

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds; only reached when something is wrong
OTHER = EventType("other", "", "", {}, {}, frozenset({"meetings:read"}))

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  log_format arrivals "$msec $http_webhook_id $uri";
  access_log {folder}/arrivals arrivals;
  keepalive_requests 100000000; client_body_buffer_size 16k;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "ok"; }} }}
}}
"""


class Sink:
    """An nginx that says 200 to everything and writes down when what came."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def count(self, path: str = "/") -> int:
        """Return how many requests have come since it was cleared, for paths that begin so."""
        return self._log.read_bytes().count(f" {path}".encode())

    def arrivals(self) -> list[tuple[float, str, str]]:
        """Return when which message came to which path."""
        rows = [line.split() for line in self._log.read_text().splitlines()]
        return [(float(at), message, path) for at, message, path in rows]

    def clear(self) -> None:
        """Forget what has come."""
        os.truncate(self._log, 0)


@contextmanager
def sink() -> Iterator[Sink | None]:
    """Run nginx; None where there is none."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
        try:
            time.sleep(0.5)
            yield Sink(f"http://127.0.0.1:{port}/hook", folder / "arrivals")
        finally:
            process.terminate()
            process.wait()


@contextmanager
def databases() -> Iterator[Callable[[], Iterator[tuple[str, Database]]]]:
    """Yield a callable that goes through a fresh database of each kind, by its name."""
    server = PostgreSQL(durable=True)

    def fresh() -> Iterator[tuple[str, Database]]:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "keyhook.db"
            shutil.copy(sqlite_template(), path)
            with fresh_database(f"sqlite:///{path}") as database:
                yield "SQLite", database
        url = server.create()
        with fresh_database(url) as database:
            yield "PostgreSQL", database
        server.drop(url)

    try:
        yield fresh
    finally:
        server.stop()
        server.remove()


class Office:
    """Bench, an organization: subscribes and publishes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        catalog = Catalog()
        catalog.register(BENCH)
        catalog.register(OTHER)
        self._subscriptions = Subscriptions(VAULT, CLOCK, catalog, LOOPBACK)
        with database.session() as session:
            self.organization = (
                Accounts(CLOCK).create_organization(session, name="Bench", actor=SYSTEM).id
            )
        with database.session() as session:
            self._key = (
                Keys(VAULT, CLOCK)
                .create(session, organization_id=self.organization, name="Bench", actor=SYSTEM)
                .key.id
            )

    def subscribe(self, urls: Sequence[str], event_type: EventType = BENCH) -> list[UUID]:
        """Subscribe each of these URLs and return their ids."""
        first = self._subscribe(urls[0], event_type)
        more = subscribe_many(self.database, VAULT, first, urls[1:])
        self.database.analyze()
        return [first.subscription.id, *more]

    def publish(self, events: int = 1, event_type: EventType = BENCH) -> dict[str, float]:
        """Publish, each in a transaction of its own; return when each began, by message id."""
        begun = {}
        for _ in range(events):
            at = time.time()
            with self.database.session() as session, writing(session):
                event = outbox.publish(
                    session,
                    organization_id=self.organization,
                    event_type=event_type,
                    body=BODY,
                    subject="",
                    audience=None,
                    now=CLOCK.now(),
                )
            begun[f"evt_{event.id.hex}"] = at
        return begun

    def forget(self) -> None:
        """Begin anew: nothing waits any more, and nobody fails."""
        done = {"state": DeliveryState.FAILED, "lease_owner": None, "lease_token": None}
        with self.database.session() as session, writing(session):
            session.execute(
                update(Delivery)
                .where(Delivery.state == DeliveryState.PENDING)
                .values(**done, lease_until=None)
            )
            session.execute(update(Lane).values(turn_at=None))
            session.execute(update(Subscription).values(failing_since=None))
        self.database.analyze()

    def is_pending(self, *conditions: object) -> bool:
        """Tell whether something is not yet delivered."""
        query = select(Delivery.id).where(IS_PENDING, *conditions).limit(1)  # type: ignore[arg-type]
        with self.database.session() as session, session.begin():
            return session.scalars(query).first() is not None

    def _subscribe(self, url: str, event_type: EventType) -> Subscribed:
        with self.database.session() as session:
            return self._subscriptions.subscribe(
                session,
                organization_id=self.organization,
                key_id=self._key,
                event_type=event_type.name,
                target_url=url,
                operations=scopes.DEFAULT,
                actor=SYSTEM,
            )


@contextmanager
def worker(database: Database) -> Iterator[None]:
    """Run one worker in a process of its own, with the options that it has as installed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.office", database.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def until(true: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def main(database_url: str) -> None:
    """Be the worker."""
    made = Worker(Database(database_url), VAULT, SystemClock(), allow_networks=LOOPBACK)
    settle()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    made.run_forever(threading.Event())


if __name__ == "__main__":
    main(sys.argv[1])
