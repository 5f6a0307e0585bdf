"""Lanes: bounded threads over a bounded queue."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from foretell_evm.lanes import Lane, LaneFull


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def test_submit__runs_in_turn_and_gives_the_result() -> None:
    lane = Lane("test", 1)
    order: list[int] = []
    futures = [lane.submit(lambda number=number: order.append(number) or number) for number in range(5)]
    assert [future.result(5) for future in futures] == order == list(range(5))


def test_submit__runs_as_many_at_once_as_the_lane_is_wide(gate: threading.Event) -> None:
    lane, begun = Lane("test", 3), threading.Semaphore(0)

    def work() -> None:
        begun.release()
        gate.wait(10)

    for _ in range(5):
        lane.submit(work)
    assert all(begun.acquire(timeout=5) for _ in range(3))
    assert not begun.acquire(timeout=0.1)
    gate.set()
    assert all(begun.acquire(timeout=5) for _ in range(2))


def test_submit__more_than_there_is_room_for__refused_until_somebody_leaves(gate: threading.Event) -> None:
    lane, begun = Lane("test", 1, room=2), threading.Event()
    lane.submit(lambda: begun.set() or gate.wait(10))
    assert begun.wait(5)
    first = lane.submit(int)
    lane.submit(int)
    with pytest.raises(LaneFull, match="2 calls wait"):
        lane.submit(int)
    assert first.cancel()
    lane.submit(int)


def test_submit__cancelled_before_its_turn__never_runs(gate: threading.Event) -> None:
    lane, ran = Lane("test", 1), []
    lane.submit(lambda: gate.wait(10))
    dropped = lane.submit(lambda: ran.append("dropped"))
    last = lane.submit(lambda: ran.append("last"))
    assert dropped.cancel()
    gate.set()
    last.result(5)
    assert ran == ["last"]


def test_submit__error__is_the_outcome_and_the_lane_goes_on() -> None:
    lane = Lane("test", 1)

    def fail() -> None:
        raise SystemExit(3)

    failed = lane.submit(fail)
    assert isinstance(failed.exception(5), SystemExit)
    assert lane.submit(lambda: 7).result(5) == 7


def test_lane__hung__does_not_keep_the_process_from_ending() -> None:
    program = (
        "import threading\n"
        "from foretell_evm.lanes import Lane\n"
        "begun = threading.Event()\n"
        "Lane('hung', 1).submit(lambda: begun.set() or threading.Event().wait())\n"
        "begun.wait(5)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
