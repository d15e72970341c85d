"""Short requests one after the other, so that threads do not push each other aside.

Python runs one thread at a time. A request that looks something up in SQLite lets go of the
interpreter for a few microseconds, another thread takes it, and the first one waits until that one
lets go in turn; that costs more than the look-up. So each waits here until the one before has
ended; but not for one that takes long, as a password check does: those go side by side.
"""

from collections.abc import Iterable
from threading import Lock
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PATIENCE = 0.005  # seconds: as `sys.getswitchinterval`, for which a thread waits for another anyhow


class InTurn:
    """A WSGI application (PEP 3333) before another one."""

    def __init__(self, app: WSGIApplication, *, patience: float = PATIENCE) -> None:
        """patience: seconds for which a request waits for the one before."""
        self._app = app
        self._patience = patience
        self._turn = Lock()  # of whoever is served now

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        turn = self._turn
        while not turn.acquire(timeout=self._patience):
            if turn is self._turn:  # whoever has it is waited for no more, by anybody
                self._turn = Lock()
            turn = self._turn
        try:
            return self._app(environ, start_response)
        finally:
            turn.release()
