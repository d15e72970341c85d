"""One worker at a time for an SQLite file: whose turn it is stands in a row of the database.

SQLite lets one write at a time, so a second worker would only be in the first one's way. It waits,
and takes over when the hold runs out or is given back, or when its holder is seen to be dead.
"""

import os
import socket
from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

from sqlalchemy import Table, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from webhooks.models import Hold

LENGTH = timedelta(seconds=10)
NAME = "delivery"

_hold = cast("Table", Hold.__table__)
_HOLDER = select(_hold.c.owner, _hold.c.until).where(_hold.c.name == NAME).with_for_update()
_TAKE = (
    update(_hold).where(_hold.c.name == NAME).values(owner=bindparam("me"), until=bindparam("til"))
)
_BE_FIRST = insert(_hold).values(name=NAME, owner=bindparam("me"), until=bindparam("til"))
_GIVE_BACK = delete(_hold).where(_hold.c.name == NAME, _hold.c.owner == bindparam("me"))


def new_owner() -> str:
    """Return a name for a worker of this process: `host:process:random`."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid4().hex[:8]}"


def take(session: Session, owner: str, now: datetime) -> bool | None:
    """Take or keep the hold; in the caller's write transaction.

    True: it has just become ours. False: it was ours already. None: somebody else has it.
    """
    connection = session.connection()
    found = connection.execute(_HOLDER).first()
    row = {"me": owner, "til": now + LENGTH}
    if found is None:
        connection.execute(_BE_FIRST, row)
        return True
    if found.owner != owner and found.until > now and not _is_dead(found.owner):
        return None
    connection.execute(_TAKE, row)
    return bool(found.owner != owner)


def give_back(session: Session, owner: str) -> None:
    """Let somebody else have it; in the caller's write transaction."""
    session.connection().execute(_GIVE_BACK, {"me": owner})


def _is_dead(owner: str) -> bool:
    """Tell whether a worker was a process of this machine that is no more."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname()[:40]:
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False
