"""What the mail about keys that come to their end says."""

from datetime import UTC, datetime, timedelta

import pytest

from keystore import expiry_mail
from keystore.models import Key

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PAGE = "https://keyhook.example/settings/organization/developer/"


def key(name: str, left: timedelta | None, *, disabled: bool = False) -> Key:
    ends = None if left is None else NOW + left
    return Key(name=name, expires_at=ends, disabled_at=NOW if disabled else None)


def test_one_mail_tells_of_all_keys_those_first_that_end_first() -> None:
    letter = expiry_mail.digest(
        [key("n8n", 7 * DAY), key("BI", -DAY), key("Make", DAY, disabled=True), key("AI", DAY)],
        now=NOW,
        page=PAGE,
    )
    assert letter.subject == "4 keys have expired or are about to"
    assert letter.text.split("\n\n")[0].splitlines() == [
        "- “BI” expired on 1 Jan 2026, 12:00 UTC.",
        "- “AI” expires in 1 day, on 3 Jan 2026, 12:00 UTC.",
        "- “Make” expires in 1 day, on 3 Jan 2026, 12:00 UTC. It is disabled.",
        "- “n8n” expires in 7 days, on 9 Jan 2026, 12:00 UTC.",
    ]
    assert letter.text.endswith(f"\n\n{PAGE}\n")


@pytest.mark.parametrize(
    ("lefts", "subject", "told"),
    [
        ([DAY], "A key is about to expire", ["give it a later expiry"]),
        ([DAY, DAY], "2 keys are about to expire", ["give it a later expiry"]),
        ([0 * DAY], "A key has expired", ["cannot be brought back"]),
        ([-DAY, 0 * DAY], "2 keys have expired", ["cannot be brought back"]),
        (
            [0 * DAY, DAY],
            "2 keys have expired or are about to",
            ["cannot be brought back", "give it a later expiry"],
        ),
    ],
)
def test_it_says_what_can_still_be_done(
    lefts: list[timedelta], subject: str, told: list[str]
) -> None:
    letter = expiry_mail.digest([key("A", left) for left in lefts], now=NOW, page=PAGE)

    assert letter.subject == subject
    all_hints = ["cannot be brought back", "give it a later expiry"]
    assert [hint for hint in all_hints if hint in letter.text] == told
