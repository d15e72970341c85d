"""A real delivery worker in a process of its own, to be killed: `python -m ... DATABASE_URL`."""

import signal
import sys
import threading

from keystore.clock import SystemClock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.vault import Vault
from tests.webhooks.conftest import LOOPBACK
from webhooks.worker import Worker

TIMEOUT = 2.0
LEASE = 3.0
SLOTS = 20
BATCH = 10


def main(database_url: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = Worker(
        Database(database_url),
        Vault([SecretValue("k" * 64)]),
        SystemClock(),
        allow_networks=LOOPBACK,
        timeout=TIMEOUT,
        lease=LEASE,
        slots=SLOTS,
        batch=BATCH,
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    worker.run_forever(stop)


if __name__ == "__main__":
    main(sys.argv[1])
