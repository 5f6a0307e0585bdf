"""Keeps the stages running: pauses and tries again after what passes, ends everything after what does not."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from foretell_relayer.clock import Backoff
from foretell_relayer.errors import RelayError
from foretell_relayer.metrics import Metrics

log = structlog.get_logger(__name__)

HEALTHY_AFTER = 10.0
"""Seconds that a stage must run before its next failure counts as its first."""


class Stage(Protocol):
    """A part of the relayer with a loop of its own, which ends when the service is told to stop."""

    name: str

    async def run(self) -> None:
        """Work until told to stop."""
        ...


class Supervisor:
    """Runs stages in one task group."""

    def __init__(self, metrics: Metrics, on_failure: Callable[[str, RelayError], None]) -> None:
        self._metrics = metrics
        self._on_failure = on_failure
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Let every stage finish what it is doing, and end."""
        self._stop.set()

    async def run(self, stages: Sequence[Stage], grace: float) -> None:
        """Run until ``stop``, and then at most ``grace`` seconds longer.

        Raises:
            BaseExceptionGroup: a stage failed with an error that does not pass.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.keep(stage), name=stage.name) for stage in stages]
            await self._stop.wait()
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                log.info("stage_interrupted", stage=task.get_name())
                task.cancel()

    async def keep(self, stage: Stage) -> None:
        """Run one stage, again after each failure that passes."""
        backoff = Backoff()
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await stage.run()
            except RelayError as error:
                if not error.retry:
                    raise
                if time.monotonic() - began > HEALTHY_AFTER:
                    backoff.reset()
                await self._recover(stage.name, error, backoff.next())
            else:
                return

    async def _recover(self, stage: str, error: RelayError, pause: float) -> None:
        self._metrics.errors.labels(error.code).inc()
        self._metrics.failures.labels(stage).inc()
        self._on_failure(stage, error)
        log.warning(
            "recovering",
            stage=stage,
            code=error.code,
            why=error.message,
            hint=error.hint,
            again_in=round(pause, 1),
        )
        try:
            async with asyncio.timeout(pause):
                await self._stop.wait()
        except TimeoutError:
            return
