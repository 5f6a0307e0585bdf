"""Waiting: for a bell that another stage rings, for a time, or for the end of the service."""

import asyncio
import contextlib
import random


class Bell:
    """Something to do: rung by whoever makes it, heard by whoever does it. A ring that nobody hears stays."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the one that waits."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Sleep until the bell rings, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


class Backoff:
    """Growing pauses with jitter, so that relayers that failed together do not come back together."""

    def __init__(self, first: float = 0.5, most: float = 8.0) -> None:
        self._first, self._most = first, most
        self._failures = 0

    def reset(self) -> None:
        """All is well again."""
        self._failures = 0

    def next(self) -> float:
        """Seconds to pause now."""
        pause = pause_after(self._failures, self._first, self._most)
        self._failures += 1
        return pause


def pause_after(failures: int, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds to pause after so many failures in a row: doubled each time, up to ``most``, plus up to a
    quarter.
    """
    pause = min(most, first * 2.0 ** min(failures, 30))
    return pause * (1 + random.random() / 4)  # noqa: S311  jitter, no secret
