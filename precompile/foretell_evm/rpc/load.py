"""What one server takes on at once, whatever its clients do: bytes held, and threads that run methods."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from pydantic_core import from_json

from foretell_evm.calls import MAX_WAITING

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Of one request over HTTP."""
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Of one message over WebSocket: room for the blobs of a transaction."""
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of all requests that are being read or answered."""
MAX_VALUES: Final = 100_000
"""In one request: a value takes up to a hundred times the bytes in Python that it took as JSON."""
MAX_CONNECTIONS: Final = 1_000
_QUICK_THREADS: Final = 40
_MAY_WAIT: Final = frozenset(
    {
        "debug_traceCall", "eth_call", "eth_createAccessList", "eth_estimateGas", "eth_sendRawTransaction",
        "eth_sendTransaction", "eth_sendUnsignedTransaction", "eth_signTransaction", "eth_simulateV1",
    }
)  # fmt: skip
"""Methods that may wait for a model. They have threads of their own, more than may wait at once, so that
neither they nor anybody else stands behind those that do."""

_Result = TypeVar("_Result")


class TooMuch(Exception):
    """The server holds as much as it may; the client may try again."""


class Load:
    """Counts for one server. All but the methods themselves run in its event loop."""

    def __init__(self) -> None:
        self._held = 0
        self._quick = CapacityLimiter(_QUICK_THREADS)
        self._patient = CapacityLimiter(2 * MAX_WAITING)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Give a function that claims bytes, which are free again at the end.

        The function raises ``TooMuch``.
        """
        mine = 0

        def claim(count: int) -> None:
            nonlocal mine
            if self._held + count > MAX_HELD_BYTES:
                raise TooMuch
            self._held += count
            mine += count

        try:
            yield claim
        finally:
            self._held -= mine

    async def run(self, request: Any, function: Callable[[Any], _Result]) -> _Result:
        """Run a function of a request, which may block, in a thread."""
        requests = request if isinstance(request, list) else [request]
        waits = any(isinstance(each, dict) and _may_wait(each.get("method")) for each in requests)
        return await run_sync(function, request, limiter=self._patient if waits else self._quick)


def _may_wait(method: Any) -> bool:
    return isinstance(method, str) and method in _MAY_WAIT


def parse(body: bytes) -> Any:
    """The JSON value of a request.

    Raises:
        ValueError: it is no JSON, or too many values.
    """
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise ValueError("too many values")
    # Not the json module: under the recursion limit that py-evm raises, deep nesting crashes it.
    return from_json(body, allow_inf_nan=False)
