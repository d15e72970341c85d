"""A Zap runs on what happens to a booking, and on nothing else that does."""

import json
from uuid import uuid4

import pytest

from tests.connector.bookings import support as bookings
from tests.platforms.zapier.connector import Connector, as_zapier_hands_over
from tests.support.receiver import Received, Receiver
from tests.support.server import Server, eventually

STEPS = {
    "meeting_booked_via_scheduler": {},
    "meeting_booked_via_scheduler_rescheduled": bookings.MOVED,
    "meeting_booked_via_scheduler_canceled": bookings.OFF,
}


@pytest.mark.parametrize("key", STEPS)
def test_a_zap_runs_on_its_own_kind_of_event(
    connector: Connector, server: Server, key: str
) -> None:
    trigger = f"triggers.{key}.operation"
    uuid = str(uuid4())
    with Receiver() as zap:
        subscribed = connector.run(f"{trigger}.performSubscribe", targetUrl=zap.url())
        assert subscribed["event_type"] == key.upper()
        for changes in STEPS.values():
            answer = server.call("PUT", f"/v1/bookings/{uuid}/", json=bookings.sent(**changes))
            assert answer.status_code in {200, 201}, answer.text

        def find() -> Received | None:
            return next((one for one in zap.requests if uuid.encode() in one.body), None)

        push = eventually(find)
        assert isinstance(push, Received)
        (item,) = connector.run(
            f"{trigger}.perform", subscribeData=subscribed, **as_zapier_hands_over(push)
        )
        assert item == {"id": uuid, **json.loads(push.body)}
        assert item["event_type"] == key.upper()
        assert connector.run(f"{trigger}.performList")[0] == item
        connector.run(f"{trigger}.performUnsubscribe", subscribeData=subscribed)
