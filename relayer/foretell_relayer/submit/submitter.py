"""The stage that submits: first it follows what was sent, then it sends what is due."""

from foretell_relayer.context import Context
from foretell_relayer.core import TRANSACTIONS
from foretell_relayer.submit.follower import Follower
from foretell_relayer.submit.sender import Sender


class Submitter:
    """Sends transactions and follows them, one after another."""

    name = "submit"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sender = Sender(context)
        self._follower = Follower(context, self._sender)

    async def run(self) -> None:
        """Follow and send whenever something changed."""
        while not self._context.stopping:
            await self.follow()
            await self.send_all()
            await self._context.bells.submit.wait(self._context.settings.poll)

    async def follow(self) -> None:
        """Find out what became of every transaction whose fate is open."""
        await self._follower.follow()

    async def send_all(self) -> None:
        """Send what the decisions ask for, one transaction a request at a time."""
        context = self._context
        for row in context.journal.in_step(TRANSACTIONS):
            if context.stopping:
                return
            if not context.journal.has_pending(row.request_id):
                await self._sender.send(row)
