"""Lanes: a few threads over one bounded queue, first come first served.

Each operator has one, so a hung operator holds its own threads and nobody else's. The threads are daemons and
end when there is nothing to do: neither a hung call nor an idle lane keeps the process from ending.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

UNBOUNDED: Final = 2**63
_Result = TypeVar("_Result")


class LaneFull(Exception):
    """As many calls wait in a lane as may."""


class Lane:
    """Runs calls.

    Args:
        name: of its threads.
        width: calls that run at once.
        room: calls that may wait.
    """

    def __init__(self, name: str, width: int, room: int = UNBOUNDED) -> None:
        self._name, self._width, self._room = name, width, room
        self._lock = threading.Lock()
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._working = 0

    def submit(self, function: Callable[[], _Result]) -> Future[_Result]:
        """Run ``function`` in its turn; until then the future can be cancelled.

        Raises:
            LaneFull: too many calls wait.
        """
        future: Future[_Result] = Future()
        with self._lock:
            if len(self._queue) >= self._room:
                self._queue = deque(waiting for waiting in self._queue if not waiting[0].cancelled())
            if len(self._queue) >= self._room:
                raise LaneFull(f"{len(self._queue)} calls wait for {self._name}")
            self._queue.append((future, function))
            if self._working < self._width:
                self._working += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._working -= 1
                    return
                future, function = self._queue.popleft()
            _run(future, function)


def _run(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - whoever looks at the future decides what it means
        future.set_exception(error)
    else:
        future.set_result(result)
