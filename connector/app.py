"""The composition root: every collaborator is made and handed over here, and nowhere else."""

from dataclasses import dataclass

from flask import Flask

from connector import api, docs, health, metrics, oauth, rate_limits, scraping
from connector.application import Application
from connector.bookings import events as booking_events
from connector.bookings import publishing as booking_publishing
from connector.bookings.store import Bookings
from connector.keys import events as key_events
from connector.keys import publishing
from connector.meetings import events as meeting_events
from connector.meetings.links import Links
from connector.meetings.store import Meetings
from connector.metrics import Metrics
from connector.proxies import TrustedProxies
from connector.subscriptions import events as subscription_events
from connector.subscriptions import publishing as subscription_publishing
from connector.watching import watcher
from keystore import pages as keystore_pages
from keystore.accounts import Accounts
from keystore.carrier import Carrier
from keystore.clock import Clock, SystemClock, rising
from keystore.db import Database
from keystore.expiries import Expiries
from keystore.grants import Grants
from keystore.inventory import Inventory
from keystore.invitations import Invitations
from keystore.keys import Keys
from keystore.knocks import Knocks
from keystore.leak_feed import LeakFeed
from keystore.leaks import Leaks
from keystore.limits import Limits
from keystore.mail import Mails
from keystore.members import Members
from keystore.overlaps import Overlaps
from keystore.pages import NavItem
from keystore.people import People
from keystore.quotas import Quotas
from keystore.rates import Rates
from keystore.resets import Resets
from keystore.second_factor import SecondFactor
from keystore.services import Services
from keystore.sessions import Sessions
from keystore.settings import Settings
from keystore.smtp import Smtp, Transport
from keystore.teams import Teams
from keystore.throttle import Throttle
from keystore.tokens import Tokens
from keystore.uses import Uses
from keystore.vault import Vault
from keystore.verification import Verification
from webhooks import health_mail, retry
from webhooks import pages as webhooks_pages
from webhooks.catalog import Catalog
from webhooks.consent import Consent
from webhooks.exchange import Exchange
from webhooks.recovery import Recoveries
from webhooks.redelivery import Redelivery
from webhooks.retention import Retention
from webhooks.services import Hooks
from webhooks.signing_secrets import SigningSecrets
from webhooks.subscriptions import Subscriptions
from webhooks.switches import Switches
from webhooks.trials import Trials
from webhooks.worker import Worker


@dataclass(frozen=True)
class Parts:
    """What an installation is made of, for the app, the command line and the tests."""

    services: Services
    hooks: Hooks
    meetings: Meetings
    bookings: Bookings
    metrics: Metrics

    def worker(self) -> Worker:
        """Return a new delivery worker; each thread or process has one of its own."""
        settings = self.services.settings
        return Worker(
            self.services.db,
            self.services.vault,
            self.services.clock,
            allow_networks=settings.allow_networks,
            timeout=settings.delivery_timeout,
            schedule=retry.SCHEDULES[settings.retry_schedule],
            catalog=self.hooks.catalog,
            on_ailing=[
                health_mail.poster(self.services.mail, settings.base_url),
                subscription_publishing.publish,
            ],
            observer=watcher(self.metrics),
            errands=[
                self.hooks.recoveries.step,
                Retention(self.services.clock, settings.delivery_retention).step,
            ],
        )

    def carrier(self, transport: Transport | None = None) -> Carrier:
        """Return a new carrier of mails, by SMTP when no other way is given."""
        services, at = self.services, self.services.settings.smtp
        if transport is None and at is not None:
            transport = Smtp(at)
        return Carrier(
            services.db,
            services.mail,
            services.clock,
            transport,
            sender=services.settings.mail_from,
            errands=[
                services.knocks.answer,
                services.overlaps.end,
                services.tokens.sweep,
                services.expiries.tell,
                services.quotas.tell,
            ],
        )


def assemble(settings: Settings, clock: Clock | None = None) -> Parts:
    """Make the parts from the settings; opens no connection yet."""
    machine_clock = clock or SystemClock()
    clock = rising(machine_clock)
    catalog = Catalog()
    for event_type in (
        *meeting_events.event_types(),
        *booking_events.event_types(),
        *key_events.event_types(),
        *subscription_events.event_types(),
    ):
        catalog.register(event_type)
    vault = Vault(settings.secret_keys)
    exchange = Exchange(allow_networks=settings.allow_networks, timeout=settings.delivery_timeout)
    subscriptions = Subscriptions(
        vault,
        clock,
        catalog,
        allow_networks=settings.allow_networks,
        consent=Consent(exchange, settings.base_url),
    )
    accounts, mails = Accounts(clock), Mails(vault)
    told = [publishing.publish]
    people = People(accounts, mails, clock, base_url=settings.base_url, on_event=told)
    resets = Resets(accounts, people, mails, clock, base_url=settings.base_url)
    db = Database(settings.database_url)
    # A meeting knows nothing of its booking, which shows as much of it.
    on_privacy = [booking_publishing.follow]
    meetings = Meetings(clock, Links(vault, settings.base_url), on_privacy)
    services = Services(
        settings=settings,
        db=db,
        clock=clock,
        vault=vault,
        accounts=accounts,
        verification=Verification(db, vault, clock),
        # The ground floor cannot know of subscriptions; it is told whom to call, and when.
        keys=Keys(
            vault,
            clock,
            on_delete=[subscriptions.end_for_key],
            dependents=subscriptions.of_key,
            on_event=told,
        ),
        expiries=Expiries(clock, mails, settings.base_url, on_event=told),
        overlaps=Overlaps(clock),
        grants=Grants(clock),
        inventory=Inventory(clock),
        rates=Rates(clock, default=settings.rate_limit, ceiling=settings.spike_ceiling),
        # It has to see when a clock was set back: see keystore.window.
        limits=Limits(db, machine_clock, settings.rate_limit),
        quotas=Quotas(clock, on_event=told),
        uses=Uses(clock),
        tokens=Tokens(vault, clock),
        sessions=Sessions(clock),
        throttle=Throttle(vault, clock),
        second_factor=SecondFactor(vault, clock),
        people=people,
        members=Members(clock),
        teams=Teams(clock),
        mail=mails,
        invitations=Invitations(accounts, mails, clock, base_url=settings.base_url),
        resets=resets,
        knocks=Knocks(vault, clock, resets),
        leaks=Leaks(vault, clock, mails, settings.base_url, on_event=told),
        leak_feed=LeakFeed(settings.leak_keys_url, clock),
        reach=meetings.reach,
    )
    return Parts(
        services,
        Hooks(
            catalog,
            subscriptions,
            Switches(clock),
            Redelivery(clock),
            Recoveries(clock, catalog, settings.delivery_retention),
            SigningSecrets(vault, clock),
            Trials(vault, clock, catalog, exchange),
        ),
        meetings,
        Bookings(clock),
        Metrics(),
    )


def create_app(parts: Parts) -> Flask:
    """Make the Flask app: the pages of both lower floors, the API, OAuth, the health check."""
    app = Application("connector", static_folder=None)
    app.extensions["keyhook"] = parts.services
    app.extensions["keyhook_webhooks"] = parts.hooks
    app.extensions["keyhook_meetings"] = parts.meetings
    app.extensions["keyhook_bookings"] = parts.bookings
    app.extensions["keyhook_nav"] = [
        NavItem("Subscriptions", "webhooks.subscriptions"),
        NavItem("Deliveries", "webhooks.deliveries"),
        NavItem("Receive webhooks", "docs.receive_webhooks", for_members=True),
    ]
    app.config["MAX_CONTENT_LENGTH"] = api.MAX_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # fields in the order we wrote them
    keystore_pages.init_app(app)
    app.register_blueprint(webhooks_pages.blueprint)
    app.register_blueprint(docs.blueprint)
    app.register_blueprint(health.bp)
    app.register_blueprint(scraping.blueprint)
    oauth.init_app(app)
    api.init_app(app)
    rate_limits.init_app(app)
    metrics.init_app(app, parts.metrics)
    if trusted := parts.services.settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, trusted)  # type: ignore[method-assign]
    return app
