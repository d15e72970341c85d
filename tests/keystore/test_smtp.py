"""Real conversations with a real SMTP server, friendly and otherwise."""

import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from keystore import smtp
from keystore.credentials import SecretValue
from keystore.errors import BadMail, NotSent
from keystore.smtp import Security, Smtp, SmtpServer
from tests.support.certificates import certified_for
from tests.support.post_office import DROP, HANG, PostOffice

LINK = "http://127.0.0.1:8400/reset/very-secret"


def letter(to: str = "ada@northwind.example", text: str = f"Open {LINK}") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Keyhook <keyhook@northwind.example>"
    message["To"] = to
    message["Subject"] = "Grüße"
    message.set_content(text)
    return message


def plain(office: PostOffice, *, seconds: float = 5.0) -> Smtp:
    return Smtp(SmtpServer(Security.NONE, "127.0.0.1", office.port), seconds=seconds)


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as office:
        yield office


def not_sent(transport: Smtp, to: str = "ada@northwind.example") -> NotSent:
    with pytest.raises(NotSent) as refused:
        transport.send(letter(), to)
    transport.close()
    return refused.value


def test_a_mail_arrives_as_it_was_written(office: PostOffice) -> None:
    transport = plain(office)
    transport.send(letter(text="First\n.\n.second\nÜber " + "x" * 300 + "\n"), "ada@n.example")
    transport.close()

    [taken] = office.taken
    assert (taken.sender, taken.recipients) == ("keyhook@northwind.example", ("ada@n.example",))
    assert taken.message["Subject"] == "Grüße"
    assert taken.text == "First\n.\n.second\nÜber " + "x" * 300 + "\n"


def test_several_mails_share_a_connection(office: PostOffice) -> None:
    transport = plain(office)
    for name in ("ada", "bob", "cyd"):
        transport.send(letter(), f"{name}@northwind.example")
    transport.close()
    transport.send(letter(), "dan@northwind.example")
    transport.close()

    assert (len(office.taken), office.connections) == (4, 2)


@pytest.mark.parametrize(
    ("step", "reply", "for_good", "concerns_all"),
    [
        ("RCPT", "550 No such user", True, False),
        ("RCPT", "450 Mailbox is busy", False, False),
        ("MAIL", "550 We do not like you", False, True),
        ("MAIL", "451 Try later", False, True),
        ("DATA", "451 Try later", False, False),
        ("END", "554 Looks like spam", True, False),
        ("END", "452 Disk full", False, False),
        ("CONNECT", "421 Too many", False, True),
        ("CONNECT", "554 Go away", False, True),
    ],
)
def test_a_refusal_says_whether_to_try_again_and_whom_it_concerns(
    office: PostOffice, step: str, reply: str, for_good: bool, concerns_all: bool
) -> None:
    office.at(step, reply)
    transport = plain(office)

    error = not_sent(transport)

    assert (error.for_good, error.concerns_all) == (for_good, concerns_all)
    assert reply[:3] in error.detail
    transport.send(letter(), "ada@northwind.example")
    transport.close()
    assert len(office.taken) == 1


def test_what_is_said_to_a_mail_itself_is_not_repeated(office: PostOffice) -> None:
    office.at("END", f"554 Blocked because of {LINK}")

    error = not_sent(plain(office))

    assert error.detail == "The server refuses the mail (554)."
    assert error.__suppress_context__


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("how", [HANG, DROP])
def test_a_server_that_hangs_or_goes_away_is_tried_later(
    office: PostOffice, step: str, how: str
) -> None:
    # smtplib greets twice, the second time in the older way.
    office.at(step, *[how] * (2 if step == "EHLO" else 1))
    transport = plain(office, seconds=0.2)

    error = not_sent(transport)

    assert (error.for_good, error.concerns_all) == (False, True)


def test_nobody_there_is_no_catastrophe() -> None:
    with PostOffice() as office:
        port = office.port

    error = not_sent(Smtp(SmtpServer(Security.NONE, "127.0.0.1", port)))

    assert (error.for_good, error.concerns_all) == (False, True)
    assert f"127.0.0.1:{port}" in error.detail


Secured = Callable[[Security], tuple[PostOffice, Smtp]]


@pytest.fixture(params=[Security.TLS, Security.STARTTLS])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[PostOffice, Path]]:
    certificate, context = certified_for("127.0.0.1", tmp_path)
    how = "tls" if request.param is Security.TLS else "starttls"
    with PostOffice(**{how: context}, users={"ada": "pass word"}) as office:
        yield office, certificate


def client(
    office: PostOffice, certificate: Path | None, password: str = "pass word", host: str = ""
) -> Smtp:
    security = Security.TLS if office.tls else Security.STARTTLS
    at = SmtpServer(security, host or "127.0.0.1", office.port, "ada", SecretValue(password))
    context = None if certificate is None else ssl.create_default_context(cafile=certificate)
    return Smtp(at, seconds=5.0, context=context)


def test_the_password_travels_encrypted_and_lets_us_in(secured: tuple[PostOffice, Path]) -> None:
    office, certificate = secured
    transport = client(office, certificate)
    transport.send(letter(), "ada@northwind.example")
    transport.close()

    assert [(one.secured, one.user) for one in office.taken] == [(True, "ada")]


def test_a_wrong_password_is_the_servers_matter_and_is_not_told(
    secured: tuple[PostOffice, Path],
) -> None:
    office, certificate = secured

    error = not_sent(client(office, certificate, "wrong one"))

    assert (error.for_good, error.concerns_all) == (False, True)
    assert "535 Wrong password" in error.detail
    assert "wrong one" not in repr(error.__context__)


def test_a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail(
    secured: tuple[PostOffice, Path],
) -> None:
    office, certificate = secured

    for transport in (client(office, None), client(office, certificate, host="localhost")):
        assert "certificate" in not_sent(transport).detail
    assert office.taken == []


def test_a_server_that_offers_no_encryption_gets_no_password(tmp_path: Path) -> None:
    with PostOffice(users={"ada": "pass word"}) as office:
        at = SmtpServer(Security.STARTTLS, "127.0.0.1", office.port, "ada", SecretValue("p"))

        error = not_sent(Smtp(at))

    assert "STARTTLS" in error.detail
    assert office.taken == []


def test_an_address_says_which_server_and_how() -> None:
    at = smtp.server("smtp+starttls://ada:p%40ss@mail.example:2525")
    assert at is not None
    assert (at.security, at.host, at.port, at.user) == (
        Security.STARTTLS,
        "mail.example",
        2525,
        "ada",
    )
    assert at.password is not None
    assert at.password.reveal() == "p@ss"
    assert "p@ss" not in repr(at)
    assert smtp.server("") is None
    ports = [smtp.server(f"{how}://mail.example") for how in ("smtp", "smtps", "smtp+starttls")]
    assert [one.port for one in ports if one] == [25, 465, 587]


@pytest.mark.parametrize(
    "text",
    [
        "a@x.example\nBcc: eve@x.example",
        "a@x.example\r\nRCPT TO:<eve@x.example>",
        "a,b@x.example",
        "a@x.example, b@x.example",
        "Ada <a@x.example>",
        "a@",
        "@",
        "",
        "nobody",
    ],
)
def test_a_recipient_is_one_address_and_nothing_else(text: str) -> None:
    with pytest.raises(BadMail):
        smtp.recipient(text)
