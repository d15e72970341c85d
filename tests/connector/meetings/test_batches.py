"""Many things at once: in chunks of a bearable size, each of them counted once."""

from uuid import UUID

from connector.meetings.batches import CHUNK, Totals, chunks


def numbered(*numbers: int) -> list[tuple[UUID, int]]:
    return [(UUID(int=number), place) for place, number in enumerate(numbers)]


def test_chunks_are_no_longer_than_they_may_be_and_nothing_is_lost() -> None:
    records = numbered(*range(2 * CHUNK + 1))
    cut = list(chunks(records))
    assert [len(chunk) for chunk in cut] == [CHUNK, CHUNK, 1]
    assert [one for chunk in cut for one in chunk] == records
    assert list(chunks([])) == []


def test_what_comes_again_comes_in_a_later_chunk() -> None:
    assert [[place for _, place in chunk] for chunk in chunks(numbered(1, 2, 1, 1))] == [
        [0, 1],
        [2],
        [3],
    ]


def test_what_is_new_counts_once() -> None:
    totals = Totals()
    for created, changed in [(True, True), (False, True), (False, False), (False, False)]:
        totals.count(created=created, changed=changed)
    assert totals == Totals(created=1, changed=1, unchanged=2)
    assert totals.seen == 4
