"""Delivering: one worker's signed, logged deliveries beside bare POSTs by wrk, to the same nginx.

Run it with `python -m tests.benchmarks.deliver`. nginx answers 200 to everything; every request has
a body of 2 KB. With two processors, nginx has one and whoever sends at the moment has the other.
"""

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from multiprocessing.process import BaseProcess
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, insert, make_url, select, text, update

from connector.serving import settle
from keystore import scopes
from keystore.accounts import Accounts
from keystore.audit import SYSTEM
from keystore.clock import SystemClock
from keystore.credentials import SecretValue
from keystore.db import Database, writing
from keystore.keys import Keys
from keystore.vault import Vault
from tests.benchmarks.tables import Series, show
from tests.support.databases import PostgreSQL, fresh_database, sqlite_template
from tests.support.server import free_port
from webhooks import audiences
from webhooks.catalog import Catalog, EventType
from webhooks.event_ids import new_event_id
from webhooks.models import Attempt, Delivery, DeliveryState, Event, Lane
from webhooks.settling import Result
from webhooks.subscriptions import Subscriptions
from webhooks.worker import Worker

ROUNDS = 7  # the machine is not the same from one to the next
SECONDS = 3  # of wrk in each round
CONNECTIONS = 64
DELIVERIES = 40_000
ENDPOINTS = 20
STARTING = 4.0  # seconds until a process of workers is ready
BODY = b'{"text": "%s"}' % (b"x" * 2036)  # 2,048 bytes

LOOPBACK = (ip_network("127.0.0.0/8"),)
PROCESSORS = sorted(os.sched_getaffinity(0))
VAULT = Vault([SecretValue("k" * 64)])
CLOCK = SystemClock()
BENCH = EventType("bench", "", "", {}, {}, frozenset({"meetings:read"}))

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_buffer_size 16k;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "ok"; }} }}
}}
"""
BACKENDS = text(
    "SELECT pid, application_name FROM pg_stat_activity WHERE application_name = ANY(:names)"
)
WRK = """
wrk.method = "POST"
wrk.body = '{"text": "' .. string.rep("x", 2036) .. '"}'
wrk.headers["content-type"] = "application/json"
wrk.headers["webhook-id"] = "evt_" .. string.rep("0", 32)
wrk.headers["webhook-timestamp"] = "1767225600"
wrk.headers["webhook-signature"] = "v1," .. string.rep("0", 43) .. "="
wrk.headers["x-avoma-signature"] = string.rep("0", 64)
"""


@contextmanager
def nginx(program: str, folder: Path) -> Iterator[str]:
    """Run nginx on a free port and yield its URL."""
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    os.sched_setaffinity(process.pid, {PROCESSORS[0]})
    try:
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        process.terminate()
        process.wait()


def by_wrk(program: str, url: str, script: Path) -> float:
    """Return wrk's POSTs per second."""
    result = subprocess.run(
        [program, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Non-2xx" not in result.stdout, result.stdout
    assert "Socket errors" not in result.stdout, result.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    assert found, result.stdout
    return float(found[1])


def by_worker(database: Database, url: str) -> float:
    """Return the deliveries per second of one worker, from its start to the last one recorded."""
    fill(database, url)
    missing, all_recorded = DELIVERIES, threading.Event()

    def count(results: Sequence[Result]) -> None:
        nonlocal missing
        missing -= len(results)
        if not missing:
            all_recorded.set()

    worker = Worker(database, VAULT, CLOCK, allow_networks=LOOPBACK, observer=count)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run_forever, args=(stop,))
    settle()
    begin = time.monotonic()
    thread.start()
    all_recorded.wait()
    seconds = time.monotonic() - begin
    stop.set()
    thread.join()
    worker.close()
    with database.session() as session, session.begin():
        recorded = session.scalars(
            select(func.count()).select_from(Attempt).where(Attempt.status == 200)
        ).one()
    assert recorded == DELIVERIES
    return DELIVERIES / seconds


def by_workers(database: Database, url: str, count: int) -> float:
    """Return the deliveries per second of some workers, each a process of its own.

    Each has a processor, and what works for it in PostgreSQL has that, too. Left to itself the
    kernel may put two workers on one, and what is measured is the kernel.
    """
    crew = [f"worker {number}" for number in range(count)]
    processors = dict(zip(crew, reversed(PROCESSORS), strict=False))
    processes = [
        multiprocessing.get_context("spawn").Process(target=work, args=(database.url, *one))
        for one in processors.items()
    ]
    for process in processes:
        process.start()
    time.sleep(STARTING)
    tell(processes, signal.SIGSTOP)  # else they begin as soon as the tables are filled, unseen
    with database.engine.connect() as connection:
        for backend, name in connection.execute(BACKENDS, {"names": crew}).all():
            os.sched_setaffinity(backend, {processors[name]})
    fill(database, url)
    tell(processes, signal.SIGCONT)
    begin = time.monotonic()
    while attempts(database) < DELIVERIES:
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    for process in processes:
        process.terminate()
        process.join()
    return DELIVERIES / seconds


def tell(processes: Sequence[BaseProcess], what: signal.Signals) -> None:
    """Send each of these a signal."""
    for process in processes:
        assert process.pid is not None
        os.kill(process.pid, what)


def work(address: str, name: str, processor: int) -> None:
    """Deliver until killed."""
    os.sched_setaffinity(0, {processor})
    own_address = make_url(address).update_query_dict({"application_name": name})
    database = Database(own_address.render_as_string(hide_password=False))
    worker = Worker(database, VAULT, CLOCK, allow_networks=LOOPBACK)
    settle()
    worker.run_forever(threading.Event())


def attempts(database: Database) -> int:
    """Return how many attempts were recorded, at the cost of one look into an index."""
    with database.session() as session, session.begin():
        return session.scalars(select(func.max(Attempt.id))).one() or 0


def fill(database: Database, url: str) -> None:
    """Subscribe, and put events and their deliveries into the tables, all due."""
    organization, subscriptions = subscribe(database, url)
    now = CLOCK.now()
    events = [new_event_id(CLOCK.now()) for _ in range(DELIVERIES)]
    with database.session() as session, writing(session):
        connection = session.connection()
        audience = audiences.show_to(
            session,
            organization_id=organization,
            subject="",
            people={"ada@northwind.example", "ben@customer.example"},
            private=False,
        )
        connection.execute(
            insert(Event.__table__),  # type: ignore[arg-type]
            [
                {
                    "id": event,
                    "organization_id": organization,
                    "type": BENCH.name,
                    "needs": " ".join(sorted(BENCH.needs)),
                    "audience_id": audience,
                    "body": BODY,
                    "subject": "",
                    "created_at": now,
                }
                for event in events
            ],
        )
        connection.execute(
            insert(Delivery.__table__),  # type: ignore[arg-type]
            [
                {
                    "organization_id": organization,
                    "event_id": event,
                    "subscription_id": subscriptions[number % ENDPOINTS],
                    "state": DeliveryState.PENDING,
                    "attempts": 0,
                    "throttles": 0,
                    "created_at": now,
                    "due_at": now,
                }
                for number, event in enumerate(events)
            ],
        )
        connection.execute(update(Lane).values(turn_at=now))
    database.analyze()


def subscribe(database: Database, url: str) -> tuple[UUID, list[UUID]]:
    """Return the ids of an organization and of its subscriptions."""
    catalog = Catalog()
    catalog.register(BENCH)
    with database.session() as session:
        organization = Accounts(CLOCK).create_organization(session, name="Bench", actor=SYSTEM)
    with database.session() as session:
        key = Keys(VAULT, CLOCK).create(
            session, organization_id=organization.id, name="Bench", actor=SYSTEM
        )
    subscriptions = Subscriptions(VAULT, CLOCK, catalog, LOOPBACK)
    made = []
    for number in range(ENDPOINTS):
        with database.session() as session:
            subscribed = subscriptions.subscribe(
                session,
                organization_id=organization.id,
                key_id=key.key.id,
                event_type=BENCH.name,
                target_url=f"{url}/{number}",
                operations=scopes.DEFAULT,
                actor=SYSTEM,
            )
            made.append(subscribed.subscription.id)
    return organization.id, made


def main() -> None:
    nginx_program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    wrk_program = shutil.which("wrk")
    if nginx_program is None or wrk_program is None:
        sys.stdout.write("\nDelivering: not measured, as it needs nginx and wrk.\n")
        return
    reference, on_sqlite, on_postgresql = [], [], []
    crews: dict[int, list[float]] = {1: [], 2: []}  # by how many workers
    server = PostgreSQL(durable=True)
    with tempfile.TemporaryDirectory() as name, nginx(nginx_program, Path(name)) as url:
        os.sched_setaffinity(0, {PROCESSORS[-1]})  # this process, and wrk as its child
        folder = Path(name)
        (folder / "post.lua").write_text(WRK)
        for number in range(ROUNDS):
            reference.append(by_wrk(wrk_program, url, folder / "post.lua"))
            path = folder / f"{number}.db"
            shutil.copy(sqlite_template(), path)
            with fresh_database(f"sqlite:///{path}") as database:
                on_sqlite.append(by_worker(database, url))
            path.unlink()
            address = server.create()
            with fresh_database(address) as database:
                on_postgresql.append(by_worker(database, url))
            server.drop(address)
        for number in range(ROUNDS):
            # Who goes first changes, so that what the machine does meanwhile falls on both.
            for count in (1, 2) if number % 2 else (2, 1):
                address = server.create()
                with fresh_database(address) as database:
                    crews[count].append(by_workers(database, url, count))
                server.drop(address)
        os.sched_setaffinity(0, PROCESSORS)
    server.stop()
    server.remove()
    show(
        "Delivering an event",
        f"One worker (claim, sign, POST, record attempt and delivery; {DELIVERIES:,} deliveries of "
        f"2 KB to {ENDPOINTS} endpoints in each round, {len(PROCESSORS)} processors) beside wrk "
        f"with {CONNECTIONS} connections posting the same, to one nginx on loopback, {ROUNDS} "
        "rounds in turns.",
        Series("wrk, bare POSTs", reference),
        [
            Series("worker, SQLite (synchronous = FULL)", on_sqlite),
            Series("worker, PostgreSQL", on_postgresql),
        ],
    )
    show(
        "Delivering by two workers",
        "The same on PostgreSQL, by one worker and by two, each a process that has one of "
        f"{len(PROCESSORS)} processors and shares it with what works for it in PostgreSQL, one of "
        "them with nginx, too.",
        Series("one worker", crews[1]),
        [Series("two workers", crews[2])],
    )


if __name__ == "__main__":
    main()
