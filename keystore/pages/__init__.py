"""The site's pages: its layout, sign-in, and Settings -> Organization -> Developer."""

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_wtf import CSRFProtect

from keystore import access
from keystore.pages import (
    account,
    audit_log,
    errors,
    forgotten,
    front,
    grants,
    headers,
    invitations,
    leaks,
    life,
    mailing,
    navigation,
    people,
    rates,
    second_factor,
    teams,
    words,
)
from keystore.pages.mailing import EXTENSION as MAILS_PAGE
from keystore.pages.navigation import NavItem

__all__ = ["MAILS_PAGE", "NavItem", "csrf", "init_app"]

#: For the floors above: `csrf.exempt(blueprint)` for what is not called by a browser's form.
csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Put the pages into an app whose `extensions["keyhook"]` holds the Services."""
    services = app.extensions["keyhook"]
    newest, *older = services.vault.session_keys()
    secure = services.settings.base_url.startswith("https:")
    app.config.update(
        BOOTSTRAP_SERVE_LOCAL=True,
        PERMANENT_SESSION_LIFETIME=access.COOKIE_LIFETIME,
        SECRET_KEY=newest,
        SECRET_KEY_FALLBACKS=older,
        SESSION_COOKIE_HTTPONLY=True,
        # The prefix keeps a neighbouring host from setting this cookie; browsers want https for it.
        SESSION_COOKIE_NAME="__Host-keyhook" if secure else "keyhook",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: a page may stay open over lunch
    )
    headers.init_app(app, csrf)
    csrf.init_app(app)
    if not app.has_static_folder:
        app.static_url_path = ""  # Bootstrap-Flask appends it to its own: /bootstrap/...
    Bootstrap5(app)
    navigation.init_app(app)
    mailing.init_app(app)
    words.init_app(app)
    errors.init_app(app)
    app.register_blueprint(front.blueprint)
    app.register_blueprint(life.blueprint)
    app.register_blueprint(rates.blueprint)
    app.register_blueprint(grants.blueprint)
    app.register_blueprint(leaks.blueprint)
    app.register_blueprint(audit_log.blueprint)
    app.register_blueprint(account.blueprint)
    app.register_blueprint(second_factor.blueprint)
    app.register_blueprint(people.blueprint)
    app.register_blueprint(invitations.blueprint)
    app.register_blueprint(teams.blueprint)
    app.register_blueprint(forgotten.blueprint)
    _declare_static_files_public(app)


def _declare_static_files_public(app: Flask) -> None:
    for endpoint, view in app.view_functions.items():
        if endpoint.rpartition(".")[2] == "static":
            app.view_functions[endpoint] = access.public(view)
