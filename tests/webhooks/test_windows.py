import pytest

from webhooks import windows
from webhooks.windows import FIRST, MOST, Windows


def test_who_answers_is_trusted_with_twice_as_much_each_time() -> None:
    known, sizes = Windows(), []
    for _ in range(4):
        sizes.append(known.of("a"))
        for _ in range(known.of("a")):
            known.note("a", answered=True)
    assert sizes == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert known.of("b") == FIRST, "each for itself"


def test_who_leaves_one_unanswered_begins_anew() -> None:
    known = Windows()
    for _ in range(100):
        known.note("a", answered=True)
    known.note("a", answered=False)
    assert known.of("a") == FIRST
    known.note("a", answered=True)
    assert known.of("a") == FIRST + 1


def test_trust_has_its_end_and_so_has_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Windows()
    for _ in range(2 * MOST):
        known.note("a", answered=True)
    assert known.of("a") == MOST

    monkeypatch.setattr(windows, "MOST_KNOWN", 10)
    known = Windows()
    for number in range(95):
        known.note(f"lane {number}", answered=True)
        known.note(f"lane {number}", answered=True)
    held = [number for number in range(95) if known.of(f"lane {number}") > FIRST]
    assert held == [90, 91, 92, 93, 94]
