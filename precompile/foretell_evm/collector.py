"""Asking drawn operators in their order, several at a time where several are wanted, with replacements.

Each call waits in the lane of its operator. Who fails is replaced at once; who takes longer than the patience
is replaced too, and may still answer. A call that waits in a lane for longer than that is tied to its
replacement: the first that begins takes the others out of their lanes, so a busy pool computes nothing twice.
An operator whose lane has no room is asked again later, as long as anybody else may still answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from foretell_evm.lanes import Lane, LaneFull
from foretell_spec.operator import Operator

_Result = TypeVar("_Result")
_ROOM_S: Final = 0.5
"""How long a full lane is left alone."""


@dataclass(eq=False, slots=True)
class Drawn:
    """A drawn operator, the lane in which it is asked, and that in which it reveals, which takes no time."""

    operator: Operator
    lane: Lane
    reveals: Lane

    @property
    def to_reveal(self) -> "Drawn":
        """The same operator, to be asked to reveal."""
        return Drawn(self.operator, self.reveals, self.reveals)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


@dataclass(eq=False, slots=True)
class _Call(Generic[_Result]):
    """A question to one operator. ``since``: when it was asked, then when it began, by the loop's clock."""

    drawn: Drawn
    since: float
    begun: bool = False
    ticket: "Future[_Result | _Failed]" = field(init=False)
    outcome: "asyncio.Future[_Result | _Failed]" = field(init=False)


class Collector(Generic[_Result]):
    """Collects results of ``ask``. Lives in the event loop; ``ask`` runs in the operators' lanes.

    Args:
        ask: asks one operator; raises where it does not answer.
        patience: seconds for one operator before another one is asked too.
        trouble: where errors of operators go.
    """

    def __init__(
        self, ask: Callable[[Drawn], _Result], patience: float, trouble: list[BaseException]
    ) -> None:
        self._ask, self._patience, self._trouble = ask, patience, trouble
        self._loop = asyncio.get_running_loop()
        self._calls: list[_Call[_Result]] = []
        self._full: list[Drawn] = []
        self._missing = 0

    async def collect(self, ranking: deque[Drawn], want: int, enough: int) -> list[_Result]:
        """Results of ``want`` operators; of ``enough`` at least where all others take too long.

        Takes those that it asks from the front of ``ranking``. Fewer results mean that nobody is left. What
        waits in a lane at the end, or when this is cancelled, is dropped; what is under way goes on.
        """
        results: list[_Result] = []
        try:
            while True:
                self._missing = want - len(results)
                self._fill(ranking)
                done = self._missing <= 0 or (len(results) >= enough and not self._timely())
                if done or not self._calls:
                    return results
                await self._wait()
                ranking.extend(self._full)
                self._full.clear()
                results += self._harvest(ranking)
        finally:
            self._drop_waiting()

    def _timely(self) -> list[_Call[_Result]]:
        now = self._loop.time()
        return [call for call in self._calls if now < call.since + self._patience]

    def _fill(self, ranking: deque[Drawn]) -> None:
        while ranking and len(self._timely()) < self._missing:
            self._start(ranking.popleft())

    def _start(self, drawn: Drawn) -> None:
        call: _Call[_Result] = _Call(drawn, self._loop.time())
        try:
            call.ticket = drawn.lane.submit(lambda: self._attempt(call))
        except LaneFull as error:
            if not any(isinstance(each, LaneFull) for each in self._trouble):
                self._trouble.append(error)
            self._full.append(drawn)
            return
        call.outcome = asyncio.wrap_future(call.ticket)
        self._calls.append(call)

    def _attempt(self, call: _Call[_Result]) -> _Result | _Failed:
        """In the operator's lane. Whatever an operator raises means that it does not answer."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._note_begun, call)
        try:
            return self._ask(call.drawn)
        except BaseException as error:  # noqa: BLE001 - even sys.exit() of an operator is only no answer
            return _Failed(error)

    def _note_begun(self, call: _Call[_Result]) -> None:
        call.begun, call.since = True, self._loop.time()
        if sum(each.begun for each in self._calls) >= self._missing:
            self._drop_waiting()

    def _drop_waiting(self) -> None:
        for call in self._calls:
            call.ticket.cancel()

    async def _wait(self) -> None:
        outcomes = [call.outcome for call in self._calls]
        wakings = [call.since + self._patience - self._loop.time() for call in self._timely()]
        if self._full:
            wakings.append(_ROOM_S)
        timeout = min(wakings, default=None)
        await asyncio.wait(outcomes, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def _harvest(self, ranking: deque[Drawn]) -> list[_Result]:
        """Results that have come; operators out of whose lanes the question was taken are next again."""
        results: list[_Result] = []
        for call in [each for each in self._calls if each.outcome.done()]:
            self._calls.remove(call)
            if call.outcome.cancelled():
                ranking.appendleft(call.drawn)
                continue
            result = call.outcome.result()
            if isinstance(result, _Failed):
                self._trouble.append(result.error)
            else:
                results.append(result)
        return results
