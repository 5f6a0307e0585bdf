"""Enters costs into the ledger, and figures of money, queues and disk current."""

import math
import time
from typing import Final

from foretell_relayer.context import Context
from foretell_relayer.operate.health import Funds
from foretell_relayer.stages import TRIES

ETHER: Final = 10**18
EVERY: Final = 5.0
"""Seconds between two looks."""


class Bookkeeper:
    """Looks at transactions that were confirmed, accounts and the journal, every few seconds."""

    name = "books"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Look again and again."""
        while not self._context.stopping:
            await self.look()
            await self._context.bells.books.wait(EVERY)

    async def look(self) -> None:
        """Bring ledger and figures up to date.

        Raises:
            RpcError: the node did not help.
        """
        self._count()
        await self._pay()
        await self._value()

    async def _pay(self) -> None:
        """Enter what confirmed transactions cost."""
        context = self._context
        for transaction in context.journal.unpaid():
            receipt = await context.chain.receipt(transaction.tx_hash)
            if receipt is not None:
                context.journal.paid(transaction, receipt)

    async def _value(self) -> None:
        context, metrics = self._context, self._context.metrics
        standing = await context.chain.standing(context.operator)
        free = await context.chain.free_bond(context.operator)
        balance = await context.chain.balance(context.signer.address)
        context.monitor.funds = Funds(balance, standing.bond, standing.locked, free, standing.credit)
        for gauge, wei in (
            (metrics.balance, balance),
            (metrics.bond, standing.bond),
            (metrics.locked, standing.locked),
            (metrics.free_bond, free),
            (metrics.credit, standing.credit),
        ):
            gauge.set(wei / ETHER)

    def _count(self) -> None:
        journal, metrics = self._context.journal, self._context.metrics
        metrics.count(journal.counts())
        sums = journal.sums()
        metrics.earned.set(sums.earned / ETHER)
        metrics.spent.set(sums.spent / ETHER)
        metrics.gas.set(sums.gas)
        metrics.bound.set(journal.bound())
        unresolved = journal.unresolved()
        metrics.unresolved.set(len(unresolved))
        first = min((attempt.created_at for attempt in unresolved), default=None)
        metrics.oldest.set(0 if first is None else max(0.0, time.time() - first))
        free = journal.place.free_bytes()
        metrics.disk.set(math.inf if free is None else free)
        self._count_requests()

    def _count_requests(self) -> None:
        context, journal = self._context, self._context.journal
        now = 0 if context.head is None else context.head.timestamp
        context.metrics.given_up.set(journal.given_up(TRIES))
        deadline = journal.next_deadline(now)
        context.metrics.deadline.set(math.inf if deadline is None else deadline - now)
