"""A worker in a world whose names lie: `python -m ... DATABASE_URL`, within `internet.alone`.

Two workers, one after the other, make an attempt at all that is due; the second one's clock is
ahead, so that it tries again what has failed. Prints as JSON what came where.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.vault import Vault
from tests.support import internet
from tests.support.internet import PUBLIC, SILENT
from tests.support.receiver import Answer, Receiver
from tests.webhooks.worker_process import Shifted
from webhooks.models import IS_PENDING, Delivery
from webhooks.worker import Worker

PORT = 8080
TIMEOUT = 1.0
PATIENCE = 20.0
ANSWERS = {
    "good.example": [PUBLIC],
    "mixed.example": [PUBLIC, "127.0.0.1"],
    "mixed-other-way.example": ["127.0.0.1", PUBLIC],
    "half-dead.example": [SILENT, "127.0.0.1"],
    "loopback.example": ["127.0.0.1"],
    "loopback6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "nat64.example": ["64:ff9b::7f00:1"],
}


def names(name: str, number: int) -> Sequence[str] | None:
    if name.startswith("hang"):
        return None
    if name == "rebinding.example":
        return [PUBLIC] if number == 0 else ["127.0.0.1"]
    return ANSWERS.get(name, [])


def send(database: Database, ahead: timedelta) -> None:
    """Let a worker make one attempt at everything, as in earnest: no network is allowed."""
    vault, clock, stop = Vault([SecretValue("k" * 64)]), Shifted(ahead), threading.Event()
    worker = Worker(database, vault, clock, timeout=TIMEOUT, slots=50)
    thread = threading.Thread(target=worker.run_forever, args=(stop,))
    thread.start()
    until = time.monotonic() + PATIENCE
    while is_due(database, clock.now()) and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()
    thread.join()


def is_due(database: Database, now: datetime) -> bool:
    due = select(Delivery.id).where(IS_PENDING, Delivery.due_at <= now).limit(1)
    with database.session() as session, session.begin():
        return session.scalars(due).first() is not None


def main(database_url: str) -> None:
    internet.settle(names)
    database = Database(database_url)
    with (
        Receiver("127.0.0.1", port=PORT) as private,
        Receiver("::1", port=PORT) as private6,
        Receiver(PUBLIC, port=PORT) as public,
    ):
        public.on("/rebinding", Answer(500))
        send(database, timedelta())
        send(database, timedelta(minutes=10))
        report = {
            "private": private.connections + private6.connections,
            "public": [one.path for one in public.requests],
        }
    sys.stdout.write(json.dumps(report))
    sys.stdout.flush()
    os._exit(0)  # without waiting for look-ups that hang


if __name__ == "__main__":
    main(sys.argv[1])
