"""Where the SMTP server is that takes our mails, and handing one mail over to it (RFC 5321)."""

import smtplib
import ssl
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from enum import StrEnum
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import unquote, urlsplit

import certifi

from keystore.credentials import SecretValue
from keystore.errors import BadMail, NotSent

SECONDS = 20.0  # for each step of the conversation
PERMANENT = 500  # replies from here on say: do not try this again (RFC 5321, 4.2.1)
REPLY_LENGTH = 120
#: What the standard library's parser raises for what is no address.
BAD_ADDRESS = (MessageError, ValueError, IndexError)
HINT = "use smtp+starttls://user:password@host:587, smtps://..., or smtp://host for a relay"


class Security(StrEnum):
    """When the connection is encrypted: from the start, before anything is said, or never."""

    TLS = "smtps"
    STARTTLS = "smtp+starttls"
    NONE = "smtp"


PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}


@dataclass(frozen=True)
class SmtpServer:
    """What `KEYHOOK_SMTP_URL` says."""

    security: Security
    host: str
    port: int
    user: str | None = None
    password: SecretValue | None = None


def server(url: str) -> SmtpServer | None:
    """Return what a `smtp://user:password@host:port` says; None for nothing. Raises ValueError.

    No error's text holds the address: there may be a password in it.
    """
    if not url:
        return None
    parts = urlsplit(url)
    try:
        security, port = Security(parts.scheme), parts.port
    except ValueError:
        raise ValueError(f"this is not the address of an SMTP server; {HINT}") from None
    if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"this is not the address of an SMTP server; {HINT}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("give a user and a password, or neither of them")
    if not (user + password).isascii():
        raise ValueError("SMTP servers take user names and passwords of ASCII characters alone")
    if user and security is Security.NONE and not _is_loopback(parts.hostname):
        raise ValueError("a password would travel in the clear; use smtps:// or smtp+starttls://")
    return SmtpServer(
        security,
        parts.hostname,
        PORTS[security] if port is None else port,
        user or None,
        SecretValue(password) if password else None,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def sender(text: str) -> str:
    """Return the address that mails come from, as it was written; raises ValueError."""
    name, address = parseaddr(text)
    try:
        if text and (not text.isprintable() or text not in {address, f"{name} <{address}>"}):
            raise ValueError
        return str(Address(name, addr_spec=address)) if text else ""
    except BAD_ADDRESS:
        raise ValueError(
            "give one address, as keyhook@example.com or Keyhook <keyhook@example.com>"
        ) from None


def recipient(text: str) -> Address:
    """Return an e-mail address for a header; raises BadMail unless it is exactly one."""
    try:
        return Address(addr_spec=text)
    except BAD_ADDRESS as error:
        raise BadMail(f"Mail cannot be sent to {text!r}.") from error


class Transport(Protocol):
    """A way for mails to leave."""

    def send(self, message: EmailMessage, to: str) -> None:
        """Take one mail in charge. Raises NotSent."""
        ...

    def close(self) -> None:
        """Give back what sending took; it may be taken again."""
        ...


class Smtp:
    """Speaks to one SMTP server, over one connection for as many mails as there are."""

    def __init__(
        self,
        at: SmtpServer,
        *,
        seconds: float = SECONDS,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._at = at
        self._seconds = seconds
        self._context = context
        self._connection: smtplib.SMTP | None = None

    def send(self, message: EmailMessage, to: str) -> None:
        """Hand one mail to the server. Raises NotSent with what it said.

        What a server says to the mail itself is not repeated: it may quote a link from it.
        """
        connection = self._connection or self._connect()
        try:
            connection.send_message(message, message["From"].addresses[0].addr_spec, [to])
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = error.recipients[to]
            said = f"The server refuses the address: {_said(code, reply)}"
            raise NotSent(said, for_good=code >= PERMANENT) from error
        except smtplib.SMTPDataError as error:
            said = f"The server refuses the mail ({error.smtp_code})."
            raise NotSent(said, for_good=error.smtp_code >= PERMANENT) from None
        except smtplib.SMTPNotSupportedError as error:
            raise NotSent(f"The server cannot send this: {error}", for_good=True) from error
        except smtplib.SMTPResponseException as error:
            said = f"The server refuses our mails: {_said(error.smtp_code, error.smtp_error)}"
            raise NotSent(said, concerns_all=True) from error
        except OSError as error:  # of smtplib's errors, all that are left are among these
            self._drop()
            raise NotSent(f"The connection broke: {error}", concerns_all=True) from error

    def close(self) -> None:
        """Say goodbye, if there is anybody to say it to."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except OSError:
                connection.close()

    def _connect(self) -> smtplib.SMTP:
        at, connection = self._at, None
        try:
            connection = self._dial()
            if at.security is Security.STARTTLS:
                connection.starttls(context=self._tls())
            if at.user is not None and at.password is not None:
                connection.login(at.user, at.password.reveal())
        except smtplib.SMTPResponseException as error:
            _hang_up(connection)
            said = _said(error.smtp_code, error.smtp_error)
            raise NotSent(f"{at.host} does not let us in: {said}", concerns_all=True) from None
        except OSError as error:
            _hang_up(connection)
            reason = f"No conversation with {at.host}:{at.port}: {error}"
            raise NotSent(reason, concerns_all=True) from None
        self._connection = connection
        return connection

    def _dial(self) -> smtplib.SMTP:
        at = self._at
        if at.security is Security.TLS:
            return smtplib.SMTP_SSL(at.host, at.port, timeout=self._seconds, context=self._tls())
        return smtplib.SMTP(at.host, at.port, timeout=self._seconds)

    def _tls(self) -> ssl.SSLContext:
        """Trust what the system trusts; where it has no certificates, those that we bring."""
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.load_verify_locations(certifi.where())
        return self._context

    def _drop(self) -> None:
        _hang_up(self._connection)
        self._connection = None


def _hang_up(connection: smtplib.SMTP | None) -> None:
    if connection is not None:
        connection.close()


def _said(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())}"[:REPLY_LENGTH]
