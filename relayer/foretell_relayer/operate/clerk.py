"""Does what the operator orders, inside the running relayer."""

from collections.abc import Callable
from typing import Final

import structlog

from foretell_relayer.context import Context
from foretell_relayer.errors import KeyStoreError, RpcError, SubmitError
from foretell_relayer.operate.errors import OrderRefused
from foretell_relayer.records import Mode, Order, OrderKind
from foretell_relayer.submit.submitter import Submitter

log = structlog.get_logger(__name__)

_MODES: Final = {
    OrderKind.PAUSE: Mode.PAUSED,
    OrderKind.RESUME: Mode.OPEN,
    OrderKind.DRAIN: Mode.DRAINING,
}


class Clerk:
    """Reads the mailbox, does what it says and answers; ends the relayer once it is drained.

    Args:
        context: the relayer.
        submitter: sends what orders ask for.
        end: ends the relayer.
    """

    name = "orders"

    def __init__(self, context: Context, submitter: Submitter, end: Callable[[], None]) -> None:
        self._context = context
        self._submitter = submitter
        self._end = end

    async def run(self) -> None:
        """Look for orders again and again."""
        while not self._context.stopping:
            await self.work()
            await self._context.bells.orders.wait(min(1.0, self._context.settings.poll))

    async def work(self) -> None:
        """Do all orders that wait, oldest first."""
        context = self._context
        for order in context.journal.open_orders():
            await self._do(order)
        if context.monitor.mode is Mode.DRAINING and not context.stopping:
            self._end_if_drained()

    async def _do(self, order: Order) -> None:
        try:
            text, done = await self._obey(order), True
        except (OrderRefused, SubmitError, KeyStoreError, RpcError) as error:
            text, done = str(error), False
        self._context.journal.answer(order, text, done=done)
        log.info("order_answered", order=order.kind.value, argument=order.argument, done=done, answer=text)

    async def _obey(self, order: Order) -> str:
        if order.kind in _MODES:
            return await self._take(_MODES[order.kind])
        if order.kind is OrderKind.REPLAY:
            return self._replay(bytes.fromhex(order.argument))
        return await self._withdraw()

    async def _take(self, mode: Mode) -> str:
        context = self._context
        await self._submitter.set_mode(mode)
        context.bells.decide.ring()
        if mode is Mode.OPEN:
            return "requests are taken"
        then = "; the relayer ends when they have settled" if mode is Mode.DRAINING else ""
        bound = context.journal.bound()
        return f"nothing new is taken; {bound} requests that our bond stands behind go on{then}"

    def _replay(self, request_id: bytes) -> str:
        if not self._context.journal.replay(request_id):
            raise OrderRefused(f"the journal has no request 0x{request_id.hex()}")
        self._context.bells.decide.ring()
        return "it is decided again from the beginning"

    async def _withdraw(self) -> str:
        context = self._context
        if context.signer.address != context.operator:
            raise OrderRefused(
                f"the credit is {context.operator}'s, whose key is not here: "
                "call Settlement.withdraw() from that account"
            )
        standing = await context.chain.standing(context.operator)
        if not standing.credit:
            raise OrderRefused("there is no credit to withdraw")
        earner = context.journal.last_earner()
        row = None if earner is None else context.journal.get(earner)
        if row is None:
            raise OrderRefused(
                "this journal knows of no earnings; call Settlement.withdraw() from the operator's account"
            )
        attempt = await self._submitter.withdraw(row)
        return f"{standing.credit / 10**18:.6f} ether are on their way in 0x{attempt.tx_hash.hex()}"

    def _end_if_drained(self) -> None:
        if self._context.journal.bound() == 0:
            log.info("drained", hint="`foretell resume` takes requests again when it is started next")
            self._end()
