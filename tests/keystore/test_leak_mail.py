"""What the mail about a leak says: what was found, where, what was done and what to do."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from keystore import leak_mail
from keystore.leak_models import Leaked, LeakReport
from keystore.models import Key
from keystore.rotation import LeakAction

PAGE = "https://keyhook.example/settings/organization/developer/keys/1/"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def text(what: Leaked, action: LeakAction, *, url: str = "", asleep: bool = False) -> str:
    report = LeakReport(
        what=what, action=action, url=url, until=NOON if action is LeakAction.RETIRED else None
    )
    key = Key(id=UUID(int=1), name="Zapier", disabled_at=NOON if asleep else None)
    return leak_mail.text(report, key, PAGE)


@pytest.mark.parametrize(
    ("what", "action", "says"),
    [
        (Leaked.SECRET, LeakAction.NONE, "can use it until you regenerate the key"),
        (Leaked.SECRET, LeakAction.RETIRED, "stops working at 2 Jan 2026, 12:00 UTC"),
        (Leaked.SECRET, LeakAction.KILLED, "It has stopped working. Nobody holds its successor"),
        (Leaked.TOKEN, LeakAction.NONE, "works for an hour at the most"),
        (Leaked.TOKEN, LeakAction.KILLED, "The Client Secret is not in it and goes on working"),
    ],
)
def test_it_says_what_was_done_and_what_to_do(what: Leaked, action: LeakAction, says: str) -> None:
    said = text(what, action, url="https://github.com/x")

    assert says in said
    assert "“Zapier”" in said
    assert "Where: https://github.com/x" in said
    assert said.endswith(f"\n\n{PAGE}\n")


def test_it_says_so_when_the_place_is_not_known() -> None:
    assert "The place was not reported." in text(Leaked.SECRET, LeakAction.NONE)


def test_a_disabled_key_is_left_as_it_is() -> None:
    said = text(Leaked.SECRET, LeakAction.NONE, asleep=True)

    assert "The key is disabled, so it was left as it is" in said
    assert "can use it until" not in said
