"""The stage that submits: first it follows what was sent, then it sends what is due."""

import asyncio

from foretell_relayer.context import Context
from foretell_relayer.core import TRANSACTIONS
from foretell_relayer.records import Attempt, Mode, Row
from foretell_relayer.submit.follower import Follower
from foretell_relayer.submit.sender import Sender


class Submitter:
    """Sends transactions and follows them, one after another, whoever asks for them."""

    name = "submit"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sender = Sender(context)
        self._follower = Follower(context, self._sender)
        # What follows takes a reservation without a signature for one that failed: none may be under way.
        self._alone = asyncio.Lock()

    async def run(self) -> None:
        """Follow and send whenever something changed."""
        while not self._context.stopping:
            await self.follow()
            await self.send_all()
            await self._context.bells.submit.wait(self._context.settings.poll)

    async def follow(self) -> None:
        """Find out what became of every transaction whose fate is open."""
        async with self._alone:
            await self._follower.follow()

    async def send_all(self) -> None:
        """Send what the decisions ask for, one transaction a request at a time."""
        context = self._context
        for row in context.journal.in_step(TRANSACTIONS):
            if context.stopping:
                return
            async with self._alone:
                await self._send(row)

    async def _send(self, listed: Row) -> None:
        """Send for a request of a list that may be old by now: the step may have been taken back."""
        journal = self._context.journal
        row = journal.get(listed.request_id)
        if row is not None and row.step == listed.step and not journal.has_pending(row.request_id):
            await self._sender.send(row)

    async def withdraw(self, row: Row) -> Attempt:
        """Draw the operator's credit; raises what ``Sender.withdraw`` raises."""
        async with self._alone:
            return await self._sender.withdraw(row)

    async def set_mode(self, mode: Mode) -> None:
        """Keep to what the operator decided, with the next transaction."""
        async with self._alone:
            self._context.journal.set_mode(mode)
            self._context.monitor.mode = mode
