"""What an admin sees of webhooks: who has subscribed, and what became of each delivery."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.e2e.camera import Camera
from tests.e2e.conftest import DESKTOP, PHONE, Open
from tests.e2e.people import sign_in_as_admin
from tests.support.receiver import Answer, Receiver
from tests.support.server import Server, eventually


@pytest.fixture(scope="module")
def receiver(server: Server) -> Iterator[Receiver]:
    """Two subscribers, one of them broken; and a meeting that has ended."""
    with Receiver() as receiver:
        receiver.on("/broken", Answer(500, body=b"out of order"))
        for path in ("/well", "/broken"):
            body = {"event_type": "meeting.ended", "target_url": receiver.url(path)}
            assert server.call("POST", "/v1/webhooks/", json=body).status_code == 201
        uuid = str(uuid4())
        meeting = {
            "uuid": uuid,
            "subject": "Renewal with Fabrikam",
            "state": "completed",
            "organizer_email": "ada@northwind.example",
            "is_private": False,
            "is_internal": False,
            "start_at": "2026-10-01T09:00:00Z",
            "end_at": "2026-10-01T09:30:00Z",
        }
        answer = server.call("PUT", f"/v1/meetings/{uuid}/", json=meeting)
        assert answer.status_code == 201, answer.text
        receiver.wait_for(2)
        yield receiver


@pytest.mark.parametrize(
    ("kind", "viewport", "dark"),
    [("desktop", DESKTOP, False), ("phone", PHONE, False), ("desktop-dark", DESKTOP, True)],
)
def test_an_admin_reads_what_became_of_an_event(
    open_browser: Open,
    server: Server,
    receiver: Receiver,
    kind: str,
    viewport: ViewportSize,
    dark: bool,
) -> None:
    page = open_browser(viewport=viewport, dark=dark)
    camera = Camera(page, kind)
    sign_in_as_admin(page, server)

    page.get_by_role("link", name="Subscriptions").click()
    expect(page.get_by_text(f"127.0.0.1:{receiver.port}")).to_have_count(2)
    camera.take("subscriptions")

    page.get_by_role("link", name="Deliveries").click()
    eventually(lambda: page.reload() and page.get_by_text("next try").count())
    expect(page.locator(".pill-delivered").first).to_be_visible()
    camera.take("deliveries")

    page.get_by_role("row").filter(has_text="next try").get_by_role("link").click()
    expect(page.get_by_text("HTTP 500").first).to_be_visible()
    page.get_by_text("Answer", exact=True).first.click()
    expect(page.get_by_text("out of order")).to_be_visible()
    expect(page.get_by_text("Renewal with Fabrikam")).to_be_visible()
    camera.take("delivery")
