"""Dry runs over HTTP: how much a key would see, told to whoever might make it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from connector.meetings import ingest
from connector.meetings.sight import Sight
from keystore.audit import SYSTEM
from keystore.clock import ManualClock
from keystore.models import User
from keystore.scopes import DataScope
from tests.connector.api.office import MANAGE, Office, body
from tests.connector.meetings.support import sent


def hold(office: Office, organizer: User, *, private: bool) -> None:
    """Let the organization have a meeting."""
    meeting = ingest.meeting(sent(organizer_email=organizer.email, is_private=private))
    with office.parts.services.db.session() as session:
        office.parts.meetings.save(session, Sight(office.organization.id), uuid4(), meeting, SYSTEM)


def test_a_dry_run_tells_what_a_key_would_see_and_makes_none(
    office: Office, admin: User, member: User
) -> None:
    for organizer, private in ((admin, False), (admin, True), (member, True)):
        hold(office, organizer, private=private)
    manager = office.manager()
    for asked, meetings, private_ones in (
        ({"scopes": ["meetings:read"]}, 3, 2),
        ({"scopes": ["notes:read"], "data_scope": "org_non_private"}, 1, 0),
        ({"scopes": ["notes:read"], "data_scope": "user_full", "owner": admin.email}, 2, 1),
        ({"scopes": ["notes:read"], "data_scope": "user_non_private", "owner": member.email}, 0, 0),
        ({"scopes": ["webhooks:manage"]}, 0, 0),
        ({"scopes": []}, 0, 0),
    ):
        answer = manager.post("/v1/keys/try/", json=asked)
        assert answer.status_code == 200, answer.data
        assert body(answer) == {"meetings": meetings, "private_meetings": private_ones}, asked
    assert body(manager.get("/v1/keys/"))["count"] == 1, "itself"
    assert office.log() == []


def test_z1_a_dry_run_tells_no_key_of_what_it_does_not_see(
    office: Office, clock: ManualClock, admin: User, member: User
) -> None:
    hold(office, admin, private=True)
    manager = office.manager(
        MANAGE - {"notes:read"},
        data=DataScope.USER_NON_PRIVATE,
        owner_id=admin.id,
        expires_at=clock.now() + timedelta(days=3),
        allowed=["127.0.0.0/8"],
    )
    seen = manager.post("/v1/keys/try/", json={"scopes": ["meetings:read"]})
    assert body(seen) == {"meetings": 0, "private_meetings": 0}
    for more, word in (
        ({"scopes": ["notes:read"]}, "notes:read"),
        ({"data_scope": "user_full"}, "does not see"),
        ({"data_scope": "org_full"}, "does not see"),
        ({"owner": member.email}, "does not see"),
    ):
        answer = manager.post("/v1/keys/try/", json={"scopes": ["meetings:read"]} | more)
        assert (answer.status_code, word in body(answer)["detail"]) == (403, True), (more, word)


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({}, 400, "scopes"),
        ({"scopes": [], "name": "n8n"}, 400, "name"),
        ({"scopes": [], "data_scope": "legacy"}, 400, "data_scope"),
        ({"scopes": ["everything"]}, 422, "scopes"),
        ({"scopes": [], "data_scope": "user_full"}, 422, "scopes"),
        ({"scopes": [], "data_scope": "user_full", "owner": "nobody@x.example"}, 422, "owner"),
    ],
)
def test_a_dry_run_of_what_cannot_be_is_refused_by_name(
    office: Office, asked: dict[str, Any], status: int, field: str
) -> None:
    answer = office.manager().post("/v1/keys/try/", json=asked)

    assert answer.status_code == status, answer.data
    assert field in body(answer)
    reader = office.manager(frozenset({"meetings:read"}))
    assert reader.post("/v1/keys/try/", json=asked).status_code == 403
