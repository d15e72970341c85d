"""Whose meetings a subscription can ask for, and which of them it then gets."""

import json

from flask.testing import FlaskClient
from sqlalchemy import select

from connector.app import Parts
from connector.meetings import ingest
from connector.meetings.sight import Sight
from keystore import scopes
from keystore.audit import SYSTEM
from keystore.models import Organization, User
from tests.connector.api.conftest import AddCaller
from tests.connector.api.test_webhooks import TARGET, subscribe
from tests.connector.meetings.support import sent
from webhooks.models import Delivery, Event


def test_a_partner_finds_the_teams_and_gets_their_meetings_alone(
    api: FlaskClient,
    stranger: FlaskClient,
    add_caller: AddCaller,
    parts: Parts,
    organization: Organization,
    member: User,
) -> None:
    where = {"organization_id": organization.id, "actor": SYSTEM}
    with parts.services.db.session() as session:
        team = parts.services.teams.create(session, "Sales", **where)  # type: ignore[arg-type]
        parts.services.teams.set_members(session, team.id, [member.id], **where)  # type: ignore[arg-type]

    assert api.get("/v1/teams/").json == [{"uuid": str(team.id), "name": "Sales"}]
    assert stranger.get("/v1/teams/").json == []
    assert add_caller(*scopes.READING).get("/v1/teams/").status_code == 403

    made = subscribe(api, event_type="meeting.ended", teams=[str(team.id)])
    assert (made["teams"], made["target_type"]) == ([str(team.id)], 2)
    assert api.get("/v1/webhooks/").get_json()["results"][0]["teams"] == [str(team.id)]
    body = {"event_type": "meeting.ended", "target_url": TARGET, "teams": [str(team.id)]}
    assert "teams" in api.post("/v1/webhooks/", json=body | {"target_type": 1}).get_json()
    assert "teams" in stranger.post("/v1/webhooks/", json=body).get_json()

    for number, organizer in enumerate(["ana@northwind.example", "Mel@Northwind.example"]):
        uuid = type(team.id)(int=number + 1)
        # The member takes part in both.
        people = [{"email": member.email, "response_status": "accepted"}]
        meeting = sent(organizer_email=organizer, attendees=people)
        with parts.services.db.session() as session:
            parts.meetings.save(
                session, Sight(organization.id), uuid, ingest.meeting(meeting), SYSTEM
            )
    with parts.services.db.session() as session, session.begin():
        bodies = session.scalars(select(Event.body).join(Delivery, Delivery.event_id == Event.id))
        found = [json.loads(one)["organizer_email"].lower() for one in bodies]
    assert found == [member.email]

    path = f"/v1/webhooks/{made['id']}/"
    assert api.patch(path, json={"teams": []}).get_json()["teams"] == []
