"""What our mails say. Plain text, one link at most, and what to do if it was not you."""

from typing import NamedTuple


class Letter(NamedTuple):
    """A mail's subject and text."""

    subject: str
    text: str


def invitation(
    *, organization: str, inviter: str, role: str, link: str, days: int, site: str
) -> Letter:
    """Return the mail that offers a seat."""
    what = "an admin" if role == "admin" else "a member"
    return Letter(
        _line(f"{inviter} invites you to {organization}"),
        f"{inviter} would like you to join {organization} on Keyhook ({_host(site)}) as {what}.\n\n"
        f"To accept, open this link and choose a password:\n\n{link}\n\n"
        f"It works once, for {days} days. If you don't know what this is about, do nothing.\n",
    )


def forgotten(*, email: str, link: str, site: str) -> Letter:
    """Return the mail with which somebody chooses a new password."""
    return Letter(
        "Choose a new password",
        f"Somebody, most likely you, asked for a new password for {email} at {_host(site)}.\n\n"
        f"Choose it here, within an hour:\n\n{link}\n\n"
        "If it was not you, do nothing: your password stays as it is.\n",
    )


def password_changed(*, email: str, at: str, site: str) -> Letter:
    """Return the mail that tells somebody that their password is a new one."""
    return Letter(
        "Your password was changed",
        f"The password for {email} at {_host(site)} was changed on {at}, and all other browsers "
        "were signed out.\n\nIf it was not you, say at the sign-in page that you have forgotten "
        "your password, and tell an admin of your organization.\n",
    )


def second_factor_reset(*, email: str, admin: str, at: str, site: str) -> Letter:
    """Return the mail that tells somebody that no code is asked of them any more."""
    return Letter(
        "Your second factor was turned off",
        f"{admin} has turned off the second factor for {email} at {_host(site)}, on {at}. From "
        "now on your password alone signs you in.\n\nTurn it on again under your account. If you "
        f"did not ask for this, talk to {admin} and to another admin of your organization.\n",
    )


def _host(site: str) -> str:
    """Return where this is without making a second link of it."""
    return site.partition("://")[2]


def _line(subject: str) -> str:
    """Return a text in which every blank is a plain one; names may hold others."""
    return " ".join(subject.split())
