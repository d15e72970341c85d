"""The contract's page envelope: count, next, previous, results."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import request

from connector.api import context
from connector.meetings.schemas import Shape


def envelope(results: Iterable[Shape], *, count: int, page: int, page_size: int) -> dict[str, Any]:
    """Return one page of shapes."""
    return of_members([one.to_json() for one in results], count, page, page_size)


def of_members(
    results: Sequence[dict[str, Any]], count: int, page: int, page_size: int
) -> dict[str, Any]:
    """Return one page. The links are whole URLs with this request's other parameters kept.

    A page beyond the last one is empty, and its `previous` leads to the last one.
    """
    last = -(-count // page_size)
    return {
        "count": count,
        "next": _link(page + 1) if page < last else None,
        "previous": _link(min(page - 1, last)) if page > 1 and last else None,
        "results": results,
    }


def _link(page: int) -> str:
    """Return this request's address, under the installation's own name, for another page."""
    kept = [pair for pair in request.args.items(multi=True) if pair[0] != "page"]
    path = request.path.rstrip("/") + "/"
    return context.whole_url(f"{path}?{urlencode([*kept, ('page', page)])}")
