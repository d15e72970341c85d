"""The scanner's keys: fetched from a real server, kept, fetched anew, done without for a while."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from keystore.clock import ManualClock
from keystore.errors import BadReport, ReportRefused, ScannerSilent
from keystore.leak_feed import AT_MOST_EVERY, FRESH_FOR, LONGEST_LIST, STALE_FOR, LeakFeed
from tests.support.scanner import Scanner

TICK = timedelta(microseconds=1)
SHORT = (0.2, 0.2)  # seconds; only a server that hangs makes anybody wait for it


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    with Scanner() as scanner:
        yield scanner


@pytest.fixture
def feed(scanner: Scanner, clock: ManualClock) -> LeakFeed:
    return LeakFeed(scanner.keys_url, clock, timeout=SHORT)


def told(feed: LeakFeed, scanner: Scanner, identifier: str = "first") -> int:
    """Report one record; return how many were read."""
    body = scanner.body({"token": "khs"})
    signed = scanner.sign(body, identifier)
    return len(feed.records(body, identifier, signed["Github-Public-Key-Signature"]))


def refused(feed: LeakFeed, scanner: Scanner, identifier: str) -> bool:
    with pytest.raises(ReportRefused):
        feed.records(b"[]", identifier, "MEUCIQ==")
    return True


def test_each_of_the_listed_keys_may_sign(feed: LeakFeed, scanner: Scanner) -> None:
    scanner.add_key("retired", is_current=False)

    assert [told(feed, scanner, name) for name in ("first", "second", "retired")] == [1, 1, 1]
    assert scanner.asked == 1


def test_without_a_signature_nothing_is_fetched(feed: LeakFeed, scanner: Scanner) -> None:
    for identifier, signature in ((None, None), ("first", None), (None, "MEU="), ("first", "")):
        with pytest.raises(ReportRefused):
            feed.records(b"[]", identifier, signature)

    assert scanner.asked == 0


def test_another_keys_signature_is_refused(feed: LeakFeed, scanner: Scanner) -> None:
    body = scanner.body({"token": "khs"})
    signature = scanner.sign(body, "first")["Github-Public-Key-Signature"]

    with pytest.raises(ReportRefused):
        feed.records(body, "second", signature)
    with pytest.raises(ReportRefused):
        feed.records(body + b"\n", "first", signature)


def test_what_is_signed_may_still_be_nonsense(feed: LeakFeed, scanner: Scanner) -> None:
    signature = scanner.sign(b"{}")["Github-Public-Key-Signature"]

    with pytest.raises(BadReport):
        feed.records(b"{}", "first", signature)


def test_the_list_is_kept_for_half_an_hour_and_then_asked_for_by_its_tag(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock
) -> None:
    told(feed, scanner)
    clock.advance(FRESH_FOR - TICK)
    told(feed, scanner)
    assert scanner.asked == 1

    clock.advance(TICK)
    assert told(feed, scanner) == 1
    assert (scanner.asked, scanner.not_modified) == (2, 1)
    clock.advance(FRESH_FOR - TICK)
    told(feed, scanner)
    assert scanner.asked == 2, "an unchanged list is a fresh one"


def test_a_key_that_is_taken_off_the_list_signs_no_more(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock
) -> None:
    told(feed, scanner)
    gone = scanner.keys.pop("first")
    clock.advance(FRESH_FOR)
    told(feed, scanner, "second")
    scanner.keys["first"] = gone
    body = scanner.body({"token": "khs"})
    signature = scanner.sign(body)["Github-Public-Key-Signature"]

    with pytest.raises(ReportRefused):
        feed.records(body, "first", signature)


def test_a_new_key_is_fetched_when_it_is_first_named_though_once_a_minute_at_most(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock
) -> None:
    told(feed, scanner)
    scanner.add_key("third")
    assert refused(feed, scanner, "third"), "just now the list was fetched"
    clock.advance(AT_MOST_EVERY)

    assert told(feed, scanner, "third") == 1
    for number in range(50):
        assert refused(feed, scanner, f"made up {number}")
    assert scanner.asked == 2


@pytest.mark.parametrize("trouble", ["429", "500", "slow", "gone", "nonsense", "endless", "moved"])
def test_when_the_list_cannot_be_had_the_last_one_serves_for_a_day(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock, trouble: str
) -> None:
    told(feed, scanner)
    clock.advance(FRESH_FOR)
    make_trouble(scanner, trouble)

    assert told(feed, scanner) == 1
    assert told(feed, scanner) == 1
    assert scanner.asked == 1 + (trouble != "gone"), "and is not asked for again at once"
    clock.advance(STALE_FOR - FRESH_FOR - TICK)
    assert told(feed, scanner) == 1
    clock.advance(TICK)
    with pytest.raises(ScannerSilent):
        told(feed, scanner)


@pytest.mark.parametrize("trouble", ["429", "slow", "gone", "nonsense", "endless", "moved"])
def test_without_any_list_a_report_has_to_come_again(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock, trouble: str
) -> None:
    make_trouble(scanner, trouble)
    with pytest.raises(ScannerSilent):
        told(feed, scanner)

    if trouble != "gone":
        scanner.status, scanner.hangs, scanner.list_text, scanner.location = 200, False, None, None
        with pytest.raises(ScannerSilent):
            told(feed, scanner)
        clock.advance(AT_MOST_EVERY)
        assert told(feed, scanner) == 1


def test_many_at_once_fetch_the_list_once(feed: LeakFeed, scanner: Scanner) -> None:
    start = Barrier(8)

    def report() -> int:
        start.wait()
        return told(feed, scanner)

    with ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(report) for _ in range(8)]]

    assert answers == [1] * 8
    assert scanner.asked == 1


def test_a_clock_that_is_set_back_makes_no_list_fresh(
    feed: LeakFeed, scanner: Scanner, clock: ManualClock
) -> None:
    told(feed, scanner)
    clock.advance(FRESH_FOR)
    told(feed, scanner)
    clock.advance(-timedelta(days=3))
    told(feed, scanner)
    clock.advance(timedelta(days=3) + FRESH_FOR)
    told(feed, scanner)

    assert scanner.asked == 3


def test_nobody_reports_without_an_address(clock: ManualClock, scanner: Scanner) -> None:
    assert not LeakFeed("", clock).is_on
    assert LeakFeed(scanner.keys_url, clock).is_on


def make_trouble(scanner: Scanner, trouble: str) -> None:
    if trouble == "slow":
        scanner.hangs = True
    elif trouble == "gone":
        scanner.close()
    elif trouble == "nonsense":
        scanner.list_text = '{"public_keys": 7}'
    elif trouble == "endless":
        scanner.list_text = " " * (LONGEST_LIST + 1)
    elif trouble == "moved":
        # The list is there, too; but keys come from the one address that was set.
        scanner.status, scanner.location = 302, scanner.keys_url
    else:
        scanner.status = int(trouble)
