"""Makes one transaction: what it calls, with how much gas, for which fee; keeps it, and hands it to the node.

A send that failed is unknown, never failed: hash, nonce and state decide.
"""

from dataclasses import dataclass
from typing import Any, Final

import structlog

from foretell_relayer.clock import pause_after
from foretell_relayer.context import Context
from foretell_relayer.core import StepKind
from foretell_relayer.errors import (
    FeeTooHigh,
    KeyStoreError,
    RelayError,
    RpcRefused,
    SubmitError,
    Underfunded,
    WouldRevert,
)
from foretell_relayer.records import Attempt, AttemptState, Reservation, Row
from foretell_relayer.submit.calls import LOST_RACES, REJECTIONS, WITHDRAW, Call, build
from foretell_relayer.submit.fees import Fees, suggest

log = structlog.get_logger(__name__)

AMPLE: Final = 2_000_000
"""Gas for any step without a proof: Settlement bounds the consumer's callback to half of it."""

AMPLE_FOR_PROOF: Final = 5_000_000
"""Gas for any step with a proof: the verifiers of large circuits take up to two million."""

TRANSFER_GAS: Final = 21_000
PROOF_STEPS: Final = frozenset({StepKind.SUBMIT_PROOF, StepKind.DELIVER_PROVEN})
LONGEST_PAUSE: Final = 60.0
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


@dataclass(frozen=True, slots=True)
class Work:
    """Calldata for Settlement, and its gas limit; no calldata means a transfer of nothing to ourselves."""

    data: bytes
    gas: int


NOTHING: Final = Work(b"", TRANSFER_GAS)


class Sender:
    """The only place that has transactions signed, one after another."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def send(self, row: Row) -> None:
        """Send the transaction that a request's step asks for, or say why not now."""
        kind = StepKind(row.step)
        try:
            fees = self.fees()
            work = await self.work(row, kind, fees)
            attempt = None if work is None else await self._make(row.request_id, kind, work, fees)
        except (WouldRevert, FeeTooHigh, RpcRefused, KeyStoreError) as error:
            self._not_now(row, kind, error)
            return
        if attempt is None:
            self._context.journal.again(row.request_id)
        else:
            await self.broadcast(attempt)

    async def withdraw(self, row: Row) -> Attempt:
        """Draw the operator's credit, of which ``row`` earned a part; returns what was sent.

        Raises:
            SubmitError: not now.
            KeyStoreError: the signer does not sign.
            RpcError: the node did not help.
        """
        fees = self.fees()
        work = await self._priced(StepKind.WITHDRAW, WITHDRAW, fees)
        attempt = await self._make(row.request_id, StepKind.WITHDRAW, work, fees)
        await self.broadcast(attempt)
        return attempt

    async def _make(self, request_id: bytes, kind: StepKind, work: Work, fees: Fees) -> Attempt:
        """Reserve the next nonce, and have the transaction signed."""
        context = self._context
        nonce = await context.chain.nonce(context.signer.address)
        reserved = context.journal.reserve(request_id, kind.value, nonce, (fees.most, fees.tip))
        try:
            return await self.sign(reserved, work)
        except KeyStoreError:
            context.journal.drop_reservations()
            raise

    async def work(self, row: Row, kind: StepKind, fees: Fees) -> Work | None:
        """What a step does, with a gas limit with which it succeeds as things stand; ``None`` where we do not
        have (any longer) what it takes.

        Raises:
            WouldRevert: it succeeds with no limit.
            KeyStoreError: it carries a signature, and the signer does not sign.
        """
        context = self._context
        structs = await context.chain.structs(row.request_id, row.found.block_number)
        call = await build(row, kind, context.signer, context.identity, structs)
        return None if call is None else await self._priced(kind, call, fees)

    async def _priced(self, kind: StepKind, call: Call, fees: Fees) -> Work:
        data = self._context.chain.calldata(call.function, call.arguments)
        return Work(data, await self._gas(kind, data, fees))

    async def _gas(self, kind: StepKind, data: bytes, fees: Fees) -> int:
        """One simulation with an ample limit will do where the balance covers it: unused gas costs nothing.
        An estimate simulates many times, and each of them may verify a proof.
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

    def fees(self) -> Fees:
        """What a transaction should offer now.

        Raises:
            FeeTooHigh: more than the settings allow.
        """
        settings, head = self._context.settings, self._context.head
        return suggest(head.base_fee if head else 0, settings.tip, settings.max_fee)

    async def sign(self, reserved: Reservation, work: Work) -> Attempt:
        """Have the transaction signed for which a nonce is reserved, and keep it.

        Raises:
            KeyStoreError: the signer does not sign.
        """
        context = self._context
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": context.identity.chain_id,
            "nonce": reserved.nonce,
            "to": context.identity.settlement if work.data else context.signer.address,
            "value": 0,
            "data": work.data,
            "gas": work.gas,
            "maxFeePerGas": reserved.max_fee,
            "maxPriorityFeePerGas": reserved.tip,
        }
        return context.journal.signed(reserved, await context.signer.sign_transaction(transaction))

    async def broadcast(self, attempt: Attempt, *, replaces: bool = False) -> None:
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

    def _not_now(self, row: Row, kind: StepKind, error: RelayError) -> None:
        if isinstance(error, WouldRevert) and error.reason in REJECTIONS:
            self._rejected(row, error)
            return
        lost_race = isinstance(error, WouldRevert) and error.reason in LOST_RACES
        what = "lost_race" if lost_race else "not_sent"
        pause = pause_after(row.failures, 0.5, LONGEST_PAUSE)
        self._context.journal.later(row.request_id, what, str(error), pause)
        self._context.metrics.errors.labels(error.code).inc()
        tell = log.info if lost_race else log.warning
        tell(
            what,
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

    def _refused(self, attempt: Attempt, error: SubmitError | RpcRefused, *, replaces: bool) -> None:
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
