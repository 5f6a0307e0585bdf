"""Stages that look after the journal: one stays its writer, one forgets what is over."""

from typing import Final

import structlog

from foretell_relayer.context import Context
from foretell_relayer.lease import RENEW_EVERY

log = structlog.get_logger(__name__)

FORGET_EVERY: Final = 600.0
"""Seconds between looks for requests that were closed long ago."""

_DAY: Final = 86_400.0


class LeaseKeeper:
    """Renews the lease."""

    name = "lease"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Renew until told to stop."""
        context = self._context
        while not context.stopping:
            context.journal.renew()
            context.monitor.renewed()
            context.metrics.renewed.set_to_current_time()
            await context.bells.lease.wait(RENEW_EVERY)


class Forgetter:
    """Deletes closed requests after ``keep_days``, and gives their space back."""

    name = "forget"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Forget until told to stop."""
        while not self._context.stopping:
            self.forget()
            await self._context.bells.forget.wait(FORGET_EVERY)

    def forget(self) -> None:
        """Forget what is over, a part at a time."""
        context = self._context
        forgotten = context.journal.forget(context.settings.keep_days * _DAY)
        if forgotten:
            log.info("forgotten", requests=forgotten, keep_days=context.settings.keep_days)
        context.journal.give_back()
