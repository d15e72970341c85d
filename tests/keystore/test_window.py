from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keystore import window
from keystore.window import EMPTY, LEASE, MOST_GRANTS, SECOND, TOLERANCE, WINDOW, Grant, Log

START = 1_767_225_600 * SECOND
NOTHING = Grant(0, 0, 0)

#: Steps of time that hit the exact ends of leases and windows, and the moments beside them.
edges = [0, 1, LEASE - 1, LEASE, WINDOW - LEASE, WINDOW - LEASE + 1, WINDOW, WINDOW + LEASE]
steps = st.sampled_from(edges) | st.sampled_from(edges) | st.integers(0, 2 * WINDOW)


def filled(limit: int, *moments: int) -> Log:
    log = EMPTY
    for moment in moments:
        grant, log = window.take(window.at(log, moment), limit, 1)
        assert grant.size == 1
    return log


def passes(log: Log, limit: int, moment: int) -> bool:
    return window.take(window.at(log, moment), limit, 1)[0].size == 1


def most_in_a_window(moments: list[int]) -> int:
    """Count, the slow and plain way, over every half-open window that begins with a request."""
    return max((sum(a <= b < a + WINDOW for b in moments) for a in moments), default=0)


def test_the_60th_passes_and_the_61st_does_not_until_exactly_the_oldest_leaves() -> None:
    log = filled(60, *(START + number * 1000 for number in range(60)))
    assert window.used(log) == 60
    assert not passes(log, 60, START + WINDOW - 1)
    assert passes(log, 60, START + WINDOW)
    _, log = window.take(window.at(log, START + WINDOW), 60, 1)
    assert not passes(log, 60, START + WINDOW + 999)
    assert passes(log, 60, START + WINDOW + 1000)


def test_one_that_is_refused_is_told_when_the_next_one_passes() -> None:
    log = filled(3, START, START + 5, START + 9)
    assert window.free_at(log, 3) == START + WINDOW
    assert window.free_at(log, 2) == START + 5 + WINDOW, "the limit was lowered meanwhile"
    assert window.free_at(log, 4) == START + 9, "the limit was raised: now"


def test_a_lease_counts_for_a_window_after_its_last_moment() -> None:
    grant, log = window.take(Log(START, ()), 6000, window.share(6000))
    assert grant.size == 100
    end = START + LEASE + WINDOW
    assert (window.used(window.at(log, end - 1)), window.used(window.at(log, end))) == (100, 0)


def test_the_last_few_are_granted_as_far_as_they_go() -> None:
    _, log = window.take(Log(START, ()), 6000, 5950)
    grant, log = window.take(log, 6000, 100)
    assert grant.size == 50
    assert window.take(log, 6000, 100)[0].size == 0


def test_limits_below_two_a_second_are_counted_one_by_one() -> None:
    assert [window.share(limit) for limit in (1, 60, window.LEASED_FROM - 1)] == [1, 1, 1]
    assert window.share(window.LEASED_FROM) == 2


def test_what_a_lease_has_left_can_be_given_back() -> None:
    grant, log = window.take(Log(START, ()), 6000, 100)
    assert window.used(window.give_back(log, grant, 99)) == 1
    assert window.give_back(log, grant, 100) == Log(START, ())


def test_a_lease_that_has_left_is_not_given_back_at_the_cost_of_others() -> None:
    grant, log = window.take(Log(START, ()), 6000, 100)
    later = window.at(log, START + WINDOW + LEASE)
    _, later = window.take(later, 6000, 70)
    assert window.used(window.give_back(later, grant, 99)) == 70


def test_a_lease_from_before_the_clock_was_set_back_is_not_given_back() -> None:
    grant, log = window.take(Log(START, ()), 6000, 100)
    log = window.at(log, START - 3600 * SECOND)
    _, log = window.take(window.at(log, START + 1), 6000, 70)
    assert window.used(window.give_back(log, grant, 99)) == 70


def test_a_clock_that_is_a_little_behind_counts_as_the_latest_moment_seen() -> None:
    log = filled(1, START)
    behind = window.at(log, START - TOLERANCE)
    assert behind.seen == START
    assert not passes(log, 1, START - TOLERANCE)


def test_a_clock_set_back_far_shuts_nobody_out_for_longer_than_a_window() -> None:
    log = filled(1, START)
    back = START - 3600 * SECOND
    log = window.at(log, back)
    assert not passes(log, 1, back + LEASE + WINDOW - 1)
    assert passes(log, 1, back + LEASE + WINDOW)


def test_a_log_is_the_same_after_it_was_written_and_read() -> None:
    log = filled(9, START, START, START + 7)
    assert window.parse(window.dump(log)) == log
    assert window.parse(window.dump(EMPTY)) == EMPTY
    assert len(window.dump(filled(60, *range(START, START + 60)))) < 1_300


@given(
    limit=st.integers(1, MOST_GRANTS),
    taken=st.lists(steps, max_size=150),
)
def test_l1_up_to_64_a_minute_exactly_those_pass_that_may(limit: int, taken: list[int]) -> None:
    log, now = EMPTY, START
    admitted: list[int] = []
    for step in taken:
        now += step
        may = sum(now - WINDOW < moment for moment in admitted) < limit
        grant, log = window.take(window.at(log, now), limit, 1)
        assert grant.size == may
        admitted += [now] * grant.size
    assert most_in_a_window(admitted) <= limit


@dataclass
class Process:
    """One of several that lease from one log; it spends until the very end of a lease."""

    left: int = 0
    until: int = 0  # while now is before this, it spends
    grant: Grant = NOTHING


@dataclass
class World:
    """True time passes evenly; the one clock that all look at may be set back, never ahead."""

    limit: int
    log: Log = EMPTY
    true: int = START
    clock: int = START
    admitted: list[int] = field(default_factory=list)
    processes: list[Process] = field(default_factory=lambda: [Process(), Process(), Process()])

    def request(self, process: Process, times: int) -> None:
        for _ in range(times):
            lasts = process.until - LEASE <= self.clock < process.until
            if not (lasts and process.left):
                self.lease(process)
            if process.left:
                process.left -= 1
                self.admitted.append(self.true)

    def lease(self, process: Process) -> None:
        log = window.give_back(window.at(self.log, self.clock), process.grant, process.left)
        process.grant, self.log = window.take(log, self.limit, window.share(self.limit))
        process.left, process.until = process.grant.size, self.clock + LEASE


@given(
    limit=st.sampled_from([1, 60, 119, 120, 180]),
    story=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from([1, 1, 400]),
            steps,
            st.sampled_from([0] * 20 + [1, WINDOW, TOLERANCE, TOLERANCE + 1, 3600 * SECOND]),
        ),
        max_size=60,
    ),
)
@example(120, [(0, 1, 0, 0), (0, 1, LEASE - 1, 0), (1, 400, WINDOW - LEASE + 1, 0)])
@settings(max_examples=300)
def test_l1_no_window_holds_more_than_the_limit_whatever_leases_and_clocks_do(
    limit: int, story: list[tuple[int, int, int, int]]
) -> None:
    world = World(limit)
    for which, times, step, back in story:
        world.true += step
        world.clock += step - back
        world.request(world.processes[which], times)
    assert most_in_a_window(world.admitted) <= limit


@given(
    untils=st.lists(st.integers(START, START + WINDOW), min_size=1, max_size=200),
    moment=st.integers(START, START + WINDOW),
)
def test_a_shortened_log_counts_no_less_at_any_moment(untils: list[int], moment: int) -> None:
    log = EMPTY
    for until in untils:
        log = window.add(log, ((until, 1),))
    assert len(log.grants) <= MOST_GRANTS
    assert window.used(log) == len(untils)
    assert window.used(window.at(log, moment)) >= sum(until > moment for until in untils)


@given(
    untils=st.lists(st.integers(START, START + WINDOW), min_size=1, max_size=150),
    moment=st.integers(START, START + WINDOW),
    data=st.data(),
)
def test_giving_back_from_a_shortened_log_counts_no_less_than_the_truth(
    untils: list[int], moment: int, data: st.DataObject
) -> None:
    log = EMPTY
    for until in untils:
        log = window.add(log, ((until, 3),))
    back = data.draw(st.sampled_from(untils))
    log = window.give_back(log, Grant(3, back, 0), 2)
    truth = sum(3 for until in untils if until > moment) - 2 * (back > moment)
    assert window.used(window.at(log, moment)) >= truth
