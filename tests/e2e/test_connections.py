"""Before a key or its secret ends: what the dialogs say of who would notice."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Open
from tests.e2e.people import DEVELOPER, Pair, add_key, copy_pair, sign_in_as_admin, works
from tests.support.receiver import Receiver
from tests.support.server import Server, eventually

DIALOGS = ("Delete {}", "Regenerate the secret of {}")


@pytest.fixture
def page(open_browser: Open, server: Server) -> Page:
    """The admin's browser, at the list of keys."""
    page = open_browser()
    sign_in_as_admin(page, server)
    return page


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


class Subscriber:
    """Subscribes, and ends it all for whoever comes to this server next."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._made: list[tuple[str, Pair]] = []

    def subscribe(self, pair: Pair, event_type: str, url: str) -> str:
        body = {"event_type": event_type, "target_url": url}
        answer = self._server.call("POST", "/v1/webhooks/", pair=str(pair), json=body)
        assert answer.status_code == 201, answer.text
        self._made.append((answer.json()["id"], pair))
        return self._made[-1][0]

    def end(self, subscription_id: str, pair: Pair) -> None:
        path = f"/v1/webhooks/{subscription_id}/"
        assert self._server.call("DELETE", path, pair=str(pair)).status_code == 200

    def end_all(self) -> None:
        for one in self._made:
            self.end(*one)


@pytest.fixture
def subscriber(server: Server) -> Iterator[Subscriber]:
    subscriber = Subscriber(server)
    yield subscriber
    subscriber.end_all()


def opened(page: Page, dialog: str, name: str) -> Locator:
    """Go to a dialog from the list; return what it says about who uses the key."""
    page.goto(DEVELOPER)
    page.get_by_role("link", name=dialog.format(name), exact=True).click()
    return page.get_by_role("region", name="What uses this key")


def says(page: Page, dialog: str, name: str, text: str) -> bool:
    """Tell whether a dialog says this by now: uses are written down a little later."""
    return text in opened(page, dialog, name).inner_text()


@pytest.mark.parametrize("dialog", DIALOGS)
def test_of_a_key_that_nobody_uses_a_dialog_says_so(page: Page, dialog: str) -> None:
    name = f"Idle, {dialog.split(maxsplit=1)[0].lower()}"
    add_key(page, name)

    told = opened(page, dialog, name)

    expect(told).to_contain_text("This key has not been used yet.")
    expect(told).to_contain_text("No webhook subscription depends on it.")
    expect(told.get_by_role("listitem")).to_have_count(0)


@pytest.mark.parametrize("dialog", DIALOGS)
def test_a_dialog_tells_the_last_use_and_the_requests_of_a_week(
    page: Page, server: Server, dialog: str
) -> None:
    name = f"Busy, {dialog.split(maxsplit=1)[0].lower()}"
    add_key(page, name)
    pair = copy_pair(page)
    assert works(server, pair)
    eventually(lambda: says(page, dialog, name, "1 request in the last 7 days"))

    for _ in range(2):
        assert works(server, pair)

    eventually(lambda: says(page, dialog, name, "3 requests in the last 7 days"))
    told = page.get_by_role("region", name="What uses this key")
    expect(told).to_contain_text("from 127.0.0.1")
    expect(told.locator("time")).to_contain_text("UTC")
    expect(told).to_contain_text("No webhook subscription depends on it.")


@pytest.mark.parametrize("dialog", DIALOGS)
def test_a_dialog_lists_what_depends_on_this_key_and_on_no_other(
    page: Page, server: Server, subscriber: Subscriber, receiver: Receiver, dialog: str
) -> None:
    name = f"Needed, {dialog.split(maxsplit=1)[0].lower()}"
    add_key(page, name)
    pair = copy_pair(page)
    for path in ("/one", "/other"):
        subscriber.subscribe(pair, "meeting.ended", receiver.url(path))
    elsewhere = receiver.url("/elsewhere").replace("127.0.0.1", "localhost")
    ending = subscriber.subscribe(pair, "new_conversation", elsewhere)
    other = Pair(server.client_key, server.client_secret)
    subscriber.subscribe(other, "new_conversation", receiver.url("/another-key"))

    told = opened(page, dialog, name)

    expect(told.get_by_role("listitem")).to_have_text(
        ["meeting.ended to 127.0.0.1 (2 times)", "new_conversation to localhost"]
    )
    assert "/one" not in told.inner_text()  # a path may hold what opens the receiver's door

    subscriber.end(ending, pair)
    expect(opened(page, dialog, name).get_by_role("listitem")).to_have_text(
        ["meeting.ended to 127.0.0.1 (2 times)"]
    )
