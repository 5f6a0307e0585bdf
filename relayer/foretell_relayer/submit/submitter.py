"""Sends transactions and follows them. A send that failed is unknown, never failed: hash, nonce and state
decide.
"""

import time
from itertools import groupby
from typing import Any, Final

import structlog

from foretell_relayer.chain import TransactionReceipt
from foretell_relayer.clock import pause_after
from foretell_relayer.context import Context
from foretell_relayer.core import TRANSACTIONS, StepKind
from foretell_relayer.errors import FeeTooHigh, RpcRefused, SubmitError, Underfunded, WouldRevert
from foretell_relayer.keys import SignedTransaction
from foretell_relayer.records import PENDING, Attempt, AttemptState, Row
from foretell_relayer.submit.calls import LOST_RACES, REJECTIONS, build
from foretell_relayer.submit.fees import Fees, bump, suggest

log = structlog.get_logger(__name__)

NOOP: Final = "noop"
"""A transfer of nothing to ourselves, which takes the nonce of a transaction that became pointless."""

MISSES: Final = 3
"""Looks that must not find a transaction whose nonce is used before somebody else is said to have used it:
nodes behind one URL do not always agree."""

AMPLE: Final = 2_000_000
"""Gas for any step without a proof: Settlement bounds the consumer's callback to half of it."""

AMPLE_FOR_PROOF: Final = 5_000_000
"""Gas for any step with a proof: the verifiers of large circuits take up to two million."""

PROOF_STEPS: Final = frozenset({StepKind.SUBMIT_PROOF, StepKind.DELIVER_PROVEN})
LONGEST_PAUSE: Final = 60.0
_TRANSFER_GAS: Final = 21_000
_KNOWN: Final = ("already known", "already imported", "known transaction", "already exists")
_UNDERFUNDED: Final = ("insufficient funds", "insufficient balance")
_HOPELESS: Final = (
    "intrinsic gas",
    "gas limit",
    "less than block base fee",
    "fee cap",
    "invalid chain",
    "oversized",
)


class Submitter:
    """The only place that signs and sends transactions, one after another."""

    name = "submit"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Follow and send whenever something changed."""
        while not self._context.stopping:
            await self.follow()
            await self.send_all()
            await self._context.bells.submit.wait(self._context.settings.poll)

    # -------------------------------------------------------------------------------------------- sending

    async def send_all(self) -> None:
        """Send what the decisions ask for, one transaction a request at a time."""
        context = self._context
        for row in context.journal.in_step(TRANSACTIONS):
            if context.stopping:
                return
            if not context.journal.has_pending(row.request_id):
                await self._send(row)

    async def _send(self, row: Row) -> None:
        context, kind = self._context, StepKind(row.step)
        data = self._data(row, kind)
        if data is None:
            context.journal.again(row.request_id)
            return
        try:
            fees = self._fees()
            gas = await self._gas(kind, data, fees)
        except (WouldRevert, FeeTooHigh, RpcRefused) as error:
            self._not_now(row, kind, error)
            return
        nonce = await context.chain.nonce(context.signer.address)

        def sign(chosen: int) -> SignedTransaction:
            return self._sign(chosen, fees, data, gas)

        attempt = context.journal.prepare(row.request_id, kind.value, nonce, sign, (fees.most, fees.tip))
        await self._broadcast(attempt)

    async def _gas(self, kind: StepKind, data: bytes, fees: Fees) -> int:
        """A gas limit with which the call succeeds as things stand.

        One simulation with an ample limit will do where the balance covers it: unused gas costs nothing.
        An estimate simulates many times, and each of them may verify a proof.

        Raises:
            WouldRevert: it succeeds with no limit.
        """
        chain, sender = self._context.chain, self._context.signer.address
        ample = AMPLE_FOR_PROOF if kind in PROOF_STEPS else AMPLE
        if await chain.balance(sender) >= 2 * ample * fees.most:
            try:
                await chain.trial(sender, data, ample)
            except RpcRefused:
                log.debug("trial_refused", action=kind.value)
            except WouldRevert as error:
                if "gas" not in error.reason:
                    raise
            else:
                return ample
        estimated = await chain.estimate(sender, data)
        return estimated + estimated // 5 + 20_000

    def _data(self, row: Row, kind: StepKind) -> bytes | None:
        call = build(row, kind, self._context.signer, self._context.identity)
        return None if call is None else self._context.chain.calldata(call.function, call.arguments)

    def _fees(self) -> Fees:
        settings, head = self._context.settings, self._context.head
        return suggest(head.base_fee if head else 0, settings.tip, settings.max_fee)

    def _sign(self, nonce: int, fees: Fees, data: bytes, gas: int) -> SignedTransaction:
        """Sign a call of Settlement, or a transfer of nothing where ``data`` is empty."""
        context = self._context
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": context.identity.chain_id,
            "nonce": nonce,
            "to": context.identity.settlement if data else context.signer.address,
            "value": 0,
            "data": data,
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }
        return context.signer.sign(transaction)

    def _not_now(self, row: Row, kind: StepKind, error: SubmitError | RpcRefused) -> None:
        if isinstance(error, WouldRevert) and error.reason in REJECTIONS:
            self._rejected(row, error)
            return
        lost_race = isinstance(error, WouldRevert) and error.reason in LOST_RACES
        pause = pause_after(row.failures, 0.5, LONGEST_PAUSE)
        self._context.journal.later(
            row.request_id, "lost_race" if lost_race else "not_sent", str(error), pause
        )
        self._context.metrics.errors.labels(error.code).inc()
        tell = log.info if lost_race else log.warning
        tell(
            "lost_race" if lost_race else "not_sent",
            request_id=row.label,
            action=kind.value,
            code=error.code,
            why=error.message,
            hint=error.hint,
        )

    def _rejected(self, row: Row, error: WouldRevert) -> None:
        """The chain's verifier does not take our proof: it was damaged since it was made, so make another."""
        context = self._context
        context.metrics.errors.labels(error.code).inc()
        context.journal.model_failed(row.request_id, StepKind.PROVE, str(error), row.prove_failures + 1)
        context.bells.decide.ring()
        log.warning("proof_rejected", request_id=row.label, code=error.code, why=error.message)

    async def _broadcast(self, attempt: Attempt, *, replaces: bool = False) -> None:
        """Hand a journalled transaction to the node."""
        context = self._context
        try:
            await context.chain.send(attempt.raw)
        except WouldRevert as error:
            self._refused(attempt, error, replaces=replaces)
            return
        except RpcRefused as error:
            text = error.message.lower()
            if any(mark in text for mark in _UNDERFUNDED):
                self._refused(attempt, Underfunded(error.message), replaces=replaces)
                return
            if any(mark in text for mark in _HOPELESS) or (replaces and "underpriced" in text):
                self._refused(attempt, error, replaces=replaces)
                return
            if not any(mark in text for mark in _KNOWN):
                # It may be in a block already, or in another node's pool: following finds out.
                log.warning("send_unclear", request_id="0x" + attempt.request_id.hex(), why=error.message)
                return
        context.journal.mark(attempt, AttemptState.SENT)
        context.metrics.sent.labels(attempt.action).inc()
        log.info(
            "sent",
            request_id="0x" + attempt.request_id.hex(),
            action=attempt.action,
            tx_hash="0x" + attempt.tx_hash.hex(),
            nonce=attempt.nonce,
        )

    def _refused(self, attempt: Attempt, error: Any, *, replaces: bool) -> None:
        context = self._context
        context.journal.mark(attempt, AttemptState.REFUSED)
        context.metrics.errors.labels(error.code).inc()
        if not replaces:
            row = context.journal.get(attempt.request_id)
            pause = pause_after(row.failures if row else 0, 1.0, LONGEST_PAUSE)
            context.journal.later(attempt.request_id, "refused", str(error), pause)
        log.warning(
            "refused",
            request_id="0x" + attempt.request_id.hex(),
            action=attempt.action,
            code=error.code,
            why=error.message,
            hint=error.hint,
        )

    # ------------------------------------------------------------------------------------------ following

    async def follow(self) -> None:
        """Find out what became of every transaction whose fate is open."""
        context = self._context
        unresolved = context.journal.unresolved()
        if not unresolved:
            return
        used = await context.chain.nonce(context.signer.address)
        waiting = [attempt for attempt in unresolved if attempt.nonce >= used]
        if waiting and waiting[0].nonce > used:
            await self._fill(waiting[0], used)
        for nonce, attempts in groupby(unresolved, key=lambda attempt: attempt.nonce):
            await self._follow(list(attempts), is_used=nonce < used)

    async def _fill(self, blocked: Attempt, gap: int) -> None:
        """A transaction waits for one with a lower nonce that does not exist (any longer)."""
        fees, journal = self._fees(), self._context.journal

        def sign(chosen: int) -> SignedTransaction:
            return self._sign(chosen, fees, b"", _TRANSFER_GAS)

        log.warning("nonce_gap_filled", nonce=gap)
        await self._broadcast(journal.prepare(blocked.request_id, NOOP, gap, sign, (fees.most, fees.tip)))

    async def _follow(self, attempts: list[Attempt], *, is_used: bool) -> None:
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
        if newest.state is AttemptState.SIGNED or not await context.chain.is_known(newest.tx_hash):
            await self._broadcast(newest, replaces=len(attempts) > 1)
        elif time.time() - newest.created_at > context.settings.bump_after:
            await self._bump(newest)

    async def _bump(self, old: Attempt) -> None:
        """Offer more for the same nonce; or free it cheaply, where what it does has become pointless."""
        context = self._context
        fees = bump(Fees(old.max_fee, old.tip), self._fees(), context.settings.max_fee)
        if fees is None:
            log.warning("fee_ceiling_reached", nonce=old.nonce, max_fee=old.max_fee)
            return
        data, gas, action = await self._still(old, fees)
        signed = self._sign(old.nonce, fees, data, gas)
        attempt = context.journal.replace(old, action, signed, (fees.most, fees.tip))
        log.info("bumped", nonce=old.nonce, action=action, max_fee=fees.most)
        await self._broadcast(attempt, replaces=True)

    async def _still(self, old: Attempt, fees: Fees) -> tuple[bytes, int, str]:
        """Calldata, gas and name of what the nonce is to do now."""
        row = self._context.journal.get(old.request_id)
        data = None if row is None or old.action == NOOP else self._data(row, StepKind(old.action))
        if data is not None:
            try:
                return data, await self._gas(StepKind(old.action), data, fees), old.action
            except WouldRevert:
                pass
        return b"", _TRANSFER_GAS, NOOP
