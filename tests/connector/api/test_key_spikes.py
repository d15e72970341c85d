"""Spikes over HTTP: planned within the caller's own limit, shown, cancelled."""

from typing import Any

import pytest

from tests.connector.api.office import Office, body

PLAN = {
    "starts_at": "2026-01-02T00:00:00Z",
    "ends_at": "2026-01-02T06:00:00Z",
    "rate_limit": 300,
    "reason": "Import of last year",
}


def test_a_spike_is_planned_shown_and_cancelled(office: Office) -> None:
    manager, issued = office.manager(rate_limit=300), office.issue(rate_limit=30)
    path = f"/v1/keys/{issued.key.id}/spikes/"

    planned = manager.post(path, json=PLAN)

    assert planned.status_code == 201
    spike = body(planned)
    assert planned.headers["Location"] == f"http://127.0.0.1:8400{path}{spike['id']}/"
    assert spike.items() >= PLAN.items()
    assert body(manager.get(path)) == {"count": 1, "results": [spike]}
    assert body(office.holder(issued).get("/v1/keys/self/spikes/"))["count"] == 1
    cancelled = manager.delete(f"{path}{spike['id']}/")
    assert cancelled.status_code == 200
    assert body(cancelled)["cancelled_at"] == "2026-01-01T00:00:00Z"
    assert body(manager.get(path))["count"] == 0
    assert manager.delete(f"{path}{spike['id']}/").status_code == 404
    assert manager.delete(f"{path}none/").status_code == 404
    assert [entry[0] for entry in office.log()][:2] == ["key.spike_planned", "key.spike_cancelled"]


def test_z1_no_spike_is_above_the_callers_own_limit(office: Office) -> None:
    manager, issued = office.manager(rate_limit=300), office.issue(rate_limit=30)

    for which, limit in ((str(issued.key.id), 301), ("self", 301)):
        answer = manager.post(f"/v1/keys/{which}/spikes/", json=PLAN | {"rate_limit": limit})
        assert answer.status_code == 403
        assert "300 a minute" in body(answer)["detail"]


def test_without_a_beginning_it_begins_now(office: Office) -> None:
    manager, issued = office.manager(rate_limit=300), office.issue(rate_limit=30)
    plan = {name: value for name, value in PLAN.items() if name != "starts_at"}

    answer = manager.post(f"/v1/keys/{issued.key.id}/spikes/", json=plan)

    assert body(answer)["starts_at"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"ends_at": None}, 422),
        ({"ends_at": "2026-01-01T12:00:00Z"}, 422),
        ({"ends_at": "soon"}, 400),
        ({"rate_limit": None}, 422),
        ({"rate_limit": 20}, 422),
        ({"rate_limit": True}, 400),
        ({"reason": ""}, 422),
        ({"reason": None}, 400),
        ({"until": "x"}, 400),
    ],
)
def test_a_spike_that_cannot_be_is_refused(
    office: Office, more: dict[str, Any], status: int
) -> None:
    manager, issued = office.manager(rate_limit=300), office.issue(rate_limit=30)

    answer = manager.post(f"/v1/keys/{issued.key.id}/spikes/", json=PLAN | more)

    assert answer.status_code == status, answer.data
    assert body(manager.get(f"/v1/keys/{issued.key.id}/spikes/"))["count"] == 0
