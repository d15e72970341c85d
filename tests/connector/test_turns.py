"""Short requests go one after the other; one that takes long holds up nobody."""

import threading
import time
from collections.abc import Iterable

import pytest

from connector.turns import InTurn

PATIENT, HASTY = 60.0, 0.001  # seconds
NUMBERS = range(20)


def ask(app: InTurn, number: int) -> Iterable[bytes]:
    return app({"number": number}, lambda *_: lambda _: None)


def test_requests_do_not_push_each_other_aside() -> None:
    served: list[str] = []

    def app(environ: dict[str, object], _: object) -> Iterable[bytes]:
        served.append(f"{environ['number']} begins")
        time.sleep(0.001)  # as a look-up does, it lets others on
        served.append(f"{environ['number']} ends")
        return [b""]

    in_turn = InTurn(app, patience=PATIENT)
    threads = [threading.Thread(target=ask, args=(in_turn, number)) for number in NUMBERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(served) == 2 * len(NUMBERS)
    for begin, end in zip(served[::2], served[1::2], strict=True):
        assert (begin.split()[0], "ends") == tuple(end.split())


def test_a_request_that_takes_long_holds_up_nobody() -> None:
    others_are_served = threading.Event()

    def app(environ: dict[str, object], _: object) -> Iterable[bytes]:
        if environ["number"] == "slow":
            assert others_are_served.wait(PATIENT)
        return [b"served"]

    in_turn = InTurn(app, patience=HASTY)
    slow = threading.Thread(target=in_turn, args=({"number": "slow"}, lambda *_: lambda _: None))
    slow.start()
    for number in NUMBERS:
        assert ask(in_turn, number) == [b"served"]
    others_are_served.set()
    slow.join()

    assert ask(in_turn, 0) == [b"served"]


def test_a_request_that_fails_gives_its_turn_back() -> None:
    def app(environ: dict[str, object], _: object) -> Iterable[bytes]:
        if environ["number"] == 1:
            raise RuntimeError
        return [b"served"]

    in_turn = InTurn(app, patience=PATIENT)
    with pytest.raises(RuntimeError):
        ask(in_turn, 1)

    assert ask(in_turn, 2) == [b"served"]
