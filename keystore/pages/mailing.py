"""Whether this installation sends mails, and where they can be looked at if not in a mailbox."""

from typing import cast

from flask import Flask, current_app, url_for

from keystore.access import services

#: The floor above may name the endpoint of a page that shows all mails, as the demo does.
EXTENSION = "keyhook_mails_page"


def init_app(app: Flask) -> None:
    """Offer both answers to every template."""
    app.extensions.setdefault(EXTENSION, None)
    app.jinja_env.globals.update(mail_is_set_up=is_set_up, mails_page=page)


def is_set_up() -> bool:
    """Tell whether a mail that is posted goes anywhere."""
    return services().settings.smtp is not None or page() is not None


def page() -> str | None:
    """Return the address of the page that shows mails, where there is one."""
    endpoint = cast("str | None", current_app.extensions[EXTENSION])
    return None if endpoint is None else url_for(endpoint)
