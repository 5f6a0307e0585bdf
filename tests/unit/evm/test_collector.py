"""Collecting answers of drawn operators: replacement, patience, and calls tied together."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from foretell_evm.collector import Collector, Drawn
from foretell_evm.lanes import Lane

PATIENCE = 0.2


class Scripted:
    """Operators by name, each with a lane; what they do is a function."""

    def __init__(self, **scripts: Callable[[], str]) -> None:
        self.scripts, self.asked, self.trouble = scripts, [], []
        self.lanes = {name: Lane(name, 1, room=2) for name in scripts}
        self.ranking = deque(
            Drawn(SimpleNamespace(name=name), lane, lane) for name, lane in self.lanes.items()
        )

    def ask(self, drawn: Drawn) -> str:
        self.asked.append(drawn.operator.name)
        return self.scripts[drawn.operator.name]()

    def collect(self, want: int = 1, enough: int = 1) -> list[str]:
        async def run() -> list[str]:
            return await Collector(self.ask, PATIENCE, self.trouble).collect(self.ranking, want, enough)

        return asyncio.run(asyncio.wait_for(run(), 10))


def answers(text: str, gate: threading.Event | None = None, delay: float = 0.0) -> Callable[[], str]:
    def answer() -> str:
        if gate is not None:
            gate.wait(10)
        time.sleep(delay)
        return text

    return answer


def fails(kind: type[BaseException] = RuntimeError) -> Callable[[], str]:
    def fail() -> str:
        raise kind("no answer")

    return fail


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


def test_collect__first_answers__nobody_else_is_asked() -> None:
    script = Scripted(a=answers("a"), b=answers("b"))
    assert script.collect() == ["a"]
    assert script.asked == ["a"]


@pytest.mark.parametrize("kind", [RuntimeError, StopIteration, SystemExit, KeyboardInterrupt])
def test_collect__first_fails_in_any_way__next_is_asked(kind: type[BaseException]) -> None:
    script = Scripted(a=fails(kind), b=answers("b"))
    assert script.collect() == ["b"]
    assert [type(error) for error in script.trouble] == [kind]


def test_collect__first_is_slow__next_is_asked_too(gate: threading.Event) -> None:
    script = Scripted(a=answers("a", gate), b=answers("b"))
    assert script.collect() == ["b"]


def test_collect__all_fail__nothing_and_why() -> None:
    script = Scripted(a=fails(), b=fails())
    assert script.collect() == []
    assert len(script.trouble) == 2


def test_collect__slow_one_alone__is_waited_for() -> None:
    assert Scripted(a=answers("a", delay=3 * PATIENCE)).collect() == ["a"]


def test_collect__waits_in_a_busy_lane__asked_of_the_next_and_taken_out_of_the_first(
    gate: threading.Event,
) -> None:
    script = Scripted(a=answers("a"), b=answers("b", delay=PATIENCE / 4))
    script.lanes["a"].submit(lambda: gate.wait(10))
    assert script.collect() == ["b"]
    gate.set()
    script.lanes["a"].submit(lambda: None).result(5)
    assert script.asked == ["b"]


def test_collect__taken_out_of_a_busy_lane_for_one_that_fails__asked_again(gate: threading.Event) -> None:
    script = Scripted(a=answers("a"), b=fails())
    script.lanes["a"].submit(lambda: gate.wait(10))
    threading.Timer(2.5 * PATIENCE, gate.set).start()
    assert script.collect() == ["a"]
    assert script.asked == ["b", "a"]


def test_collect__lane_full_for_a_moment_and_the_other_hung__asked_once_there_is_room(
    gate: threading.Event,
) -> None:
    script = Scripted(a=answers("a"), b=answers("b"))
    script.lanes["a"].submit(lambda: gate.wait(10))
    busy, begun = threading.Event(), threading.Event()
    script.lanes["b"].submit(lambda: begun.set() or busy.wait(10))
    assert begun.wait(5)
    for _ in range(2):
        script.lanes["b"].submit(int)
    threading.Timer(2 * PATIENCE, busy.set).start()
    assert script.collect() == ["b"]


def test_collect__lane_without_room__passed_over(gate: threading.Event) -> None:
    script, begun = Scripted(a=answers("a"), b=answers("b")), threading.Event()
    script.lanes["a"].submit(lambda: begun.set() or gate.wait(10))
    assert begun.wait(5)
    for _ in range(2):
        script.lanes["a"].submit(int)
    assert script.collect() == ["b"]
    assert "2 calls wait" in str(script.trouble[0])


def test_collect__three_wanted__asked_at_once_and_failing_ones_replaced() -> None:
    script = Scripted(a=answers("a"), b=fails(), c=answers("c"), d=answers("d"), e=answers("e"))
    assert sorted(script.collect(want=3, enough=2)) == ["a", "c", "d"]
    assert "e" not in script.asked


def test_collect__enough_are_there_and_the_rest_is_slow__does_not_wait_for_ever(
    gate: threading.Event,
) -> None:
    script = Scripted(a=answers("a"), b=answers("b"), c=answers("c", gate))
    assert sorted(script.collect(want=3, enough=2)) == ["a", "b"]


def test_collect__cancelled__queued_call_is_dropped(gate: threading.Event) -> None:
    script = Scripted(a=answers("a"))
    script.lanes["a"].submit(lambda: gate.wait(10))

    async def run() -> None:
        collecting = asyncio.ensure_future(
            Collector(script.ask, PATIENCE, script.trouble).collect(script.ranking, 1, 1)
        )
        await asyncio.sleep(0.05)
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)

    asyncio.run(run())
    gate.set()
    script.lanes["a"].submit(lambda: None).result(5)
    assert script.asked == []
