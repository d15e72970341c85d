"""What Prometheus is told. No label holds a secret, an address, a key, or anything a caller chose.

What is in the database is read from there when it is asked for: queue and subscriptions are the
same whichever process answers. What only passes by (requests, attempts) each process counts. One
that is alone keeps its counts to itself. The server processes of one `keyhook serve` write theirs
into files of one folder (prometheus_client's multiprocess mode), as a scrape meets any one of them
and has to get the counts of all, those of processes that have ended included. Counting in tables
instead would cost each request a write, and rows that grow old are dropped, so that sums over the
attempts would fall.
"""

import logging
import os
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from pathlib import Path

from flask import Flask, Request, Response, current_app, g, request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from keystore.access import Access
from keystore.clock import Clock
from keystore.db import Database
from webhooks import figures
from webhooks.retry import Retry
from webhooks.settling import Result

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # as prometheus_client calls it
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# When each count began is of no use to anybody, and would double what is told.
disable_created_metrics()  # type: ignore[no-untyped-call]
#: Seconds from publish to acknowledged: from at once to after the last retry.
LATENCIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 43200)
METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429


def share(folder: Path) -> None:
    """Count into this folder, with other processes. To be called before any `Metrics` is made."""
    os.environ[FOLDER] = str(folder)
    # The library chooses when it is imported, which is before we know how many we shall be.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


class Metrics:
    """The counts of one process, or of several together."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int, bool], Sequence[Counter]] = {}
        self._requests = Counter(
            "keyhook_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._verifications = Counter(
            "keyhook_key_verifications",
            "Requests that needed a key or token, by what came of it.",
            ["result"],
            registry=registry,
        )
        self._attempts = Counter(
            "keyhook_delivery_attempts",
            "Attempts to deliver a webhook, by how they ended and the kind of status.",
            ["outcome", "status"],
            registry=registry,
        )
        self._retries = Counter(
            "keyhook_delivery_retries",
            "Attempts after which another is to come.",
            registry=registry,
        )
        self._latency = Histogram(
            "keyhook_delivery_latency_seconds",
            "From the publishing of an event to its acknowledgement by a receiver.",
            buckets=LATENCIES,
            registry=registry,
        )

    def count_request(self, response: Response) -> Response:
        """Count the request that is being answered."""
        asked, status = request._get_current_object(), response.status_code  # type: ignore[attr-defined]  # noqa: SLF001
        is_known = status != FORBIDDEN or "principal" in g
        # There are as many of these as routes times statuses: few, and soon all known.
        kind = (asked.endpoint, asked.method, status, is_known)
        counts = self._known.get(kind)
        if counts is None:
            counts = self._counts(asked, status, is_known=is_known)
            if asked.endpoint is not None:
                self._known[kind] = counts
        for count in counts:
            count.inc()
        return response

    def _counts(self, asked: Request, status: int, *, is_known: bool) -> Sequence[Counter]:
        """Return what a request of this kind counts for."""
        rule = asked.url_rule
        method = asked.method if asked.method in METHODS else "other"
        route = "none" if rule is None else rule.rule
        counts = [self._requests.labels(method, route, status)]
        result = verdict(_who_may(asked.endpoint), status, is_known=is_known)
        if result is not None:
            counts.append(self._verifications.labels(result))
        return counts

    def count_attempts(self, results: Sequence[Result]) -> None:
        """Count what a worker has written down."""
        ends = Tally((one.outcome.ending, one.outcome.status) for one in results)
        for (ending, status), count in ends.items():
            self._attempts.labels(ending.value, f"{status // 100}xx" if status else "none").inc(
                count
            )
        if retries := sum(isinstance(one.decision, Retry) for one in results):
            self._retries.inc(retries)
        for one in results:
            if one.outcome.delivered:
                self._latency.observe(latency(one))

    def text(self, db: Database, clock: Clock) -> bytes:
        """Return it in Prometheus' text format, and with it what this database says."""
        counted = self._registry
        if FOLDER in os.environ:
            counted = CollectorRegistry()
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
        return generate_latest(counted) + generate_latest(_Tables(db, clock))


def init_app(app: Flask, metrics: Metrics) -> None:
    """Count every request that this app answers."""
    app.extensions["keyhook_metrics"] = metrics
    app.after_request(metrics.count_request)


def verdict(who: str, status: int, *, is_known: bool) -> str | None:
    """Return what came of a caller's credential; None where the view wants none.

    who: as the view's access has it. is_known: whether the key was let in, before a 403.
    """
    if not who.startswith("scope:") and who not in {"any-key", "client"}:
        return None
    if status == UNAUTHORIZED:
        return "refused"
    if status == TOO_MANY:
        return "over limit"
    return "accepted" if is_known else "wrong network"


def latency(result: Result) -> float:
    """Return the seconds from publish to the end of the answer; clocks may disagree a little."""
    waited = (result.started_at - result.job.created_at).total_seconds()
    return max(0.0, waited + result.outcome.duration_ms / 1000)


def _who_may(endpoint: str | None) -> str:
    access = getattr(current_app.view_functions.get(endpoint or ""), "access", None)
    return access.who if isinstance(access, Access) else ""


class _Tables(Collector):
    """What the tables say at the moment of being asked."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield one metric after the other; without a database only that there is none."""
        try:
            with self._db.session() as session:
                backlog = figures.backlog(session, self._clock.now())
                conditions = figures.conditions(session)
        except DBAPIError as error:
            log.warning("The database gave no figures (%s).", type(error).__name__)
            yield GaugeMetricFamily("keyhook_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("keyhook_database_up", "Whether the database answers.", 1)
        for name, meaning, value in (
            ("deliveries_pending", "Deliveries neither made nor given up.", backlog.pending),
            ("deliveries_due", "Of these, due by now and not being sent.", backlog.due),
            ("oldest_due_seconds", "For how long the first of these is due.", backlog.oldest_due),
        ):
            yield GaugeMetricFamily(f"keyhook_{name}", meaning, value)
        states = GaugeMetricFamily("keyhook_subscriptions", "Subscriptions.", labels=["state"])
        for condition, count in conditions.items():
            states.add_metric([condition.value], count)
        yield states
