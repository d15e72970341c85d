from datetime import UTC, datetime, timedelta, timezone

from keystore.pages.words import moment


def test_a_moment_reads_as_a_day_and_knows_its_minute() -> None:
    at = datetime(2026, 10, 2, 1, 5, 9, tzinfo=timezone(timedelta(hours=2)))

    assert moment(at) == (
        '<time datetime="2026-10-01T23:05:09+00:00" title="1 Oct 2026, 23:05 UTC">1 Oct 2026</time>'
    )
    assert moment(datetime(2026, 1, 31, tzinfo=UTC)).count("31 Jan 2026") == 2
