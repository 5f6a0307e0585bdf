"""Follows transactions until their fate is certain: finds them, offers more for them, mends their nonces."""

import time
from itertools import groupby
from typing import Final

import structlog

from foretell_relayer.chain import TransactionReceipt
from foretell_relayer.context import Context
from foretell_relayer.core import StepKind
from foretell_relayer.errors import FeeTooHigh, KeyStoreError, WouldRevert
from foretell_relayer.records import PENDING, Attempt, AttemptState
from foretell_relayer.submit.fees import Fees, bump
from foretell_relayer.submit.sender import NOTHING, Sender, Work

log = structlog.get_logger(__name__)

NOOP: Final = "noop"
"""A transfer of nothing to ourselves, which takes the nonce of a transaction that became pointless."""

MISSES: Final = 3
"""Looks in a row after which something is said not to be there: nodes behind one URL do not always agree, and
a node in the middle of a reorganisation forgets for a moment."""


class Follower:
    """What became of the transactions whose fate is open."""

    def __init__(self, context: Context, sender: Sender) -> None:
        self._context = context
        self._sender = sender
        self._gaps: dict[int, int] = {}

    async def follow(self) -> None:
        """Look at all of them."""
        context = self._context
        # Nothing is being signed now, so what is reserved belongs to something that failed.
        context.journal.drop_reservations()
        unresolved = context.journal.unresolved()
        if not unresolved:
            return
        used = await context.chain.nonce(context.signer.address)
        await self._mend(unresolved, used)
        for nonce, attempts in groupby(unresolved, key=lambda attempt: attempt.nonce):
            await self._look(list(attempts), is_used=nonce < used)

    async def _mend(self, unresolved: list[Attempt], used: int) -> None:
        """Fill nonces that nothing takes (any longer), though a transaction above waits for them."""
        waiting = {attempt.nonce: attempt for attempt in unresolved if attempt.nonce >= used}
        missing = set(range(used, max(waiting, default=used))) - waiting.keys()
        self._gaps = {nonce: self._gaps.get(nonce, 0) + 1 for nonce in missing}
        for nonce in sorted(missing):
            if self._gaps[nonce] >= MISSES:
                above = waiting[min(other for other in waiting if other > nonce)]
                await self._fill(above, nonce)

    async def _fill(self, above: Attempt, gap: int) -> None:
        journal = self._context.journal
        try:
            fees = self._sender.fees()
            reserved = journal.reserve(above.request_id, NOOP, gap, (fees.most, fees.tip))
            attempt = await self._sender.sign(reserved, NOTHING)
        except (FeeTooHigh, KeyStoreError) as error:
            log.warning("nonce_gap", nonce=gap, code=error.code, why=error.message, hint=error.hint)
            return
        log.warning("nonce_gap_filled", nonce=gap)
        await self._sender.broadcast(attempt)

    async def _look(self, attempts: list[Attempt], *, is_used: bool) -> None:
        """One nonce: at most one of its transactions can ever be included."""
        for attempt in attempts:
            receipt = await self._context.chain.receipt(attempt.tx_hash)
            if receipt is not None:
                self._included(attempt, receipt, [each for each in attempts if each is not attempt])
                return
        if is_used:
            self._missed(attempts)
        else:
            await self._nudge(attempts)

    def _included(self, attempt: Attempt, receipt: TransactionReceipt, others: list[Attempt]) -> None:
        """It is in a block. What that means for the request is read from the contract, not from here."""
        context = self._context
        confirmed = context.confirmed
        if confirmed is not None and receipt.block.number <= confirmed:
            state = AttemptState.CONFIRMED if receipt.success else AttemptState.REVERTED
        else:
            state = AttemptState.INCLUDED
        if state is not attempt.state:
            context.journal.mark(attempt, state, receipt.block.number)
        if state is not AttemptState.INCLUDED:
            context.metrics.landed.labels(state.value).inc()
            for each in others:
                context.journal.mark(each, AttemptState.REPLACED)
        if attempt.state in PENDING:
            context.gas.observe(attempt.action, receipt.gas_used)
            self._tell(attempt, receipt)

    def _tell(self, attempt: Attempt, receipt: TransactionReceipt) -> None:
        fields = {
            "request_id": "0x" + attempt.request_id.hex(),
            "action": attempt.action,
            "block": receipt.block.number,
            "gas_used": receipt.gas_used,
        }
        if receipt.success:
            log.info("included", **fields)
            self._context.journal.again(attempt.request_id)
        else:
            # Most likely somebody else did the same a transaction earlier.
            log.info("reverted_on_chain", **fields)
            self._context.journal.later(attempt.request_id, "reverted", "0x" + attempt.tx_hash.hex(), 1.0)
        self._context.bells.decide.ring()

    def _missed(self, attempts: list[Attempt]) -> None:
        context = self._context
        context.journal.missed(attempts)
        if min(each.misses for each in attempts) + 1 < MISSES:
            return
        for each in attempts:
            context.journal.mark(each, AttemptState.LOST)
        context.metrics.landed.labels(AttemptState.LOST.value).inc()
        log.warning("nonce_used_elsewhere", nonce=attempts[0].nonce)
        context.journal.again(attempts[0].request_id)
        context.bells.decide.ring()

    async def _nudge(self, attempts: list[Attempt]) -> None:
        """No transaction of a nonce is in a block, and the nonce is free."""
        context, newest = self._context, attempts[-1]
        for each in attempts:
            if each.state is AttemptState.INCLUDED:  # its block was replaced
                context.journal.mark(each, AttemptState.SENT)
        age = time.time() - newest.created_at
        if newest.state is AttemptState.SIGNED or not await context.chain.is_known(newest.tx_hash):
            await self._sender.broadcast(newest, replaces=len(attempts) > 1)
        elif not 0 <= age <= context.settings.bump_after:  # below zero the clock was set back
            await self._bump(newest)

    async def _bump(self, old: Attempt) -> None:
        """Offer more for the same nonce; or free it cheaply, where what it does has become pointless."""
        context, settings = self._context, self._context.settings
        try:
            fees = bump(Fees(old.max_fee, old.tip), self._sender.fees(), settings.max_fee)
        except FeeTooHigh:
            fees = None
        if fees is None:
            log.warning("fee_ceiling_reached", nonce=old.nonce, max_fee=old.max_fee)
            return
        try:
            work, action = await self._still(old, fees)
            reserved = context.journal.reserve_again(old, action, (fees.most, fees.tip))
            attempt = await self._sender.sign(reserved, work)
        except KeyStoreError as error:
            log.warning("not_bumped", nonce=old.nonce, code=error.code, why=error.message, hint=error.hint)
            return
        log.info("bumped", nonce=old.nonce, action=action, max_fee=fees.most)
        await self._sender.broadcast(attempt, replaces=True)

    async def _still(self, old: Attempt, fees: Fees) -> tuple[Work, str]:
        """What the nonce is to do now, and its name."""
        row = self._context.journal.get(old.request_id)
        if row is not None and old.action != NOOP:
            try:
                work = await self._sender.work(row, StepKind(old.action), fees)
            except WouldRevert:
                work = None
            if work is not None:
                return work, old.action
        return NOTHING, NOOP
