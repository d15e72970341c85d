"""What a delivery worker did, for those who look after it: counted, and told in the log.

The log gets one line for all that a batch delivered, and one for all that failed in the same way at
the same subscription, so that an outage does not drown the rest: with ids, statuses and times, and
never a body, a header or an address, any of which may hold a secret.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from connector.metrics import Metrics
from webhooks.outcome import Ending
from webhooks.retry import Decision, Delivered, GiveUp, Gone, Retry
from webhooks.settling import Result

MOST_NAMED = 5
log = logging.getLogger(__name__)


def watcher(metrics: Metrics) -> Callable[[Sequence[Result]], None]:
    """Return the observer of a worker."""

    def watch(results: Sequence[Result]) -> None:
        metrics.count_attempts(results)
        if log.isEnabledFor(logging.INFO):
            tell(results)

    return watch


def tell(results: Sequence[Result]) -> None:
    """Log a batch of results."""
    delivered = [one for one in results if isinstance(one.decision, Delivered)]
    if delivered:
        log.info(
            "Delivered",
            extra={
                "deliveries": len(delivered),
                "subscriptions": len({one.job.endpoint.subscription_id for one in delivered}),
                "slowest_ms": max(one.outcome.duration_ms for one in delivered),
            },
        )
    alike = defaultdict[tuple[UUID, Ending, int | None], list[Result]](list)
    for one in results:
        if not isinstance(one.decision, Delivered):
            kind = (one.job.endpoint.subscription_id, one.outcome.ending, one.outcome.status)
            alike[kind].append(one)
    for failed in alike.values():
        log.info("Not delivered", extra=_facts(failed))


def _facts(failed: Sequence[Result]) -> dict[str, Any]:
    job, outcome, decision = failed[0].job, failed[0].outcome, failed[0].decision
    return {
        "subscription_id": str(job.endpoint.subscription_id),
        "outcome": outcome.ending.value,
        "status": outcome.status,
        "error": outcome.error,
        "deliveries": len(failed),
        # Of the first few; the rest is in the delivery log.
        "delivery_ids": [one.job.delivery_id for one in failed[:MOST_NAMED]],
        "event_ids": [f"evt_{one.job.event_id}" for one in failed[:MOST_NAMED]],
        "attempt": job.attempts + 1,
        "duration_ms": outcome.duration_ms,
        "next": _next(decision),
    }


def _next(decision: Decision) -> str:
    match decision:
        case Retry(delay=delay):
            return f"retry in {delay.total_seconds():.0f} s"
        case GiveUp():
            return "given up"
        case Gone():
            return "subscription ended"
        case _:
            return "none"
