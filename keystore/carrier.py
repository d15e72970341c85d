"""Carrying mails from the table to whatever sends them; a thread beside the server."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sqlalchemy.orm import Session

from keystore.clock import Clock
from keystore.credentials import SecretValue
from keystore.db import Database
from keystore.errors import NotSent, VaultError
from keystore.mail import Job, Mails
from keystore.smtp import Transport, recipient

PAUSE = 1.0  # seconds between two looks for work
#: Something small that is done now and again beside the server; its result is of no matter.
Errand = Callable[[Session], object]
TIDY_EVERY = timedelta(minutes=10)

log = logging.getLogger(__name__)


class Carrier:
    """Sends what is due. Each process may have one: no mail is taken by two at a time."""

    def __init__(
        self,
        db: Database,
        mails: Mails,
        clock: Clock,
        transport: Transport | None,
        *,
        sender: str,
        errands: Sequence[Errand] = (),
    ) -> None:
        """Make a carrier; without a transport it only gives up what nobody sends.

        errands: what is to be done before each look for mails; may post some. One that fails is
        logged and keeps nothing else waiting.
        """
        self._db = db
        self._mails = mails
        self._clock = clock
        self._transport = transport
        self._sender = sender
        self._errands = errands
        self._tidied_at: datetime | None = None

    def run_forever(self, stop: threading.Event) -> None:
        """Look for mails until told to stop; the one being sent is finished."""
        while not stop.is_set():
            self.run_once(stop)
            stop.wait(PAUSE)

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Send what is due at the moment; return how many mails were sent."""
        self._tidy()
        self._run_errands()
        if self._transport is None:
            return 0
        sent = 0
        try:
            while (stop is None or not stop.is_set()) and (job := self._claim()) is not None:
                try:
                    self._send(job, self._transport)
                    sent += 1
                except NotSent as error:
                    self._give_back(job, error)
                    if error.concerns_all:
                        break  # the others need not find out, too
        finally:
            self._transport.close()
        return sent

    def _run_errands(self) -> None:
        for errand in self._errands:
            try:
                with self._db.session() as session:
                    errand(session)
            except Exception as error:
                # It is for the next time; the others, and the mails, do not wait for it.
                log.exception("An errand beside the server failed (%s).", type(error).__name__)

    def _claim(self) -> Job | None:
        now = self._clock.now()
        with self._db.session() as session:
            return self._mails.claim(session, now) if self._mails.any_due(session, now) else None

    def _send(self, job: Job, transport: Transport) -> None:
        try:
            text = self._mails.text(job)
        except VaultError as error:
            raise NotSent(error.detail, for_good=True) from error
        transport.send(compose(job, text, sender=self._sender), job.to)
        with self._db.session() as session:
            self._mails.sent(session, job, self._clock.now())

    def _give_back(self, job: Job, error: NotSent) -> None:
        with self._db.session() as session:
            again = self._mails.failed(
                session, job, error.detail, self._clock.now(), for_good=error.for_good
            )
        told = "will be tried again" if again else "is given up"
        log.warning("Mail %s was not sent and %s. %s", job.id, told, error.detail)

    def _tidy(self) -> None:
        now = self._clock.now()
        if self._tidied_at is not None and now < self._tidied_at + TIDY_EVERY:
            return
        self._tidied_at = now
        with self._db.session() as session:
            late = self._mails.tidy(session, now)
        if late:
            log.warning("%d mails could not be sent in time and are given up.", late)


def compose(job: Job, text: SecretValue, *, sender: str) -> EmailMessage:
    """Return a mail as it goes out; made anew, it has the same Message-ID."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = recipient(job.to)
    message["Subject"] = job.subject
    message["Date"] = format_datetime(job.created_at)
    message["Message-ID"] = f"<{job.id}@{message['From'].addresses[0].domain}>"
    message["Auto-Submitted"] = "auto-generated"  # so that no absence note answers (RFC 3834)
    message.set_content(text.reveal())
    return message
