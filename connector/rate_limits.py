"""Requests counted against their key's limit, and what is left told in every answer.

The fields are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy: "key";q=60;w=60`
says how many requests fit into how many seconds, `RateLimit: "key";r=12;t=7` how many are left,
and in how many seconds there will be more. The window slides: nobody gains by waiting for a full
minute of the clock.
"""

from flask import Flask, Response, g

from connector.problems import TooManyRequests
from keystore.limits import Budget, Limits
from keystore.quotas import Quotas
from keystore.verification import VerifiedKey


def count(key: VerifiedKey, limits: Limits, quotas: Quotas) -> None:
    """Count this request as one of the key's; one that raises TooManyRequests does not count."""
    g.budget = budget = limits.take(key)
    quotas.note(key, budget)
    if not budget.allowed:
        raise _refusal(budget)


def init_app(app: Flask) -> None:
    """Tell in each answer to a key what it has left."""
    app.after_request(_tell)


def _refusal(budget: Budget) -> TooManyRequests:
    seconds = max(1, budget.reset_s)
    return TooManyRequests(
        f"This key may make {budget.limit:,} requests a minute and has made them. "
        f"Try again in {seconds} second{'' if seconds == 1 else 's'}.",
        headers={"Retry-After": str(seconds)},
    )


def _tell(response: Response) -> Response:
    budget: Budget | None = g.get("budget")
    if budget is not None:
        headers = response.headers  # to which nobody else adds these
        headers.add("RateLimit-Policy", f'"key";q={budget.limit};w={budget.window_s}')
        headers.add("RateLimit", f'"key";r={budget.remaining};t={budget.reset_s}')
    return response
