"""Whether to take new work: not while funds are low or gas is dear, not after too many failures, and not for
less than it costs.

Only requests that nobody has delivered yet are new work. What we owe (proofs, disputes, closing what we
delivered) is never held up here, as it would cost the bond.
"""

import math
import time
from dataclasses import dataclass
from typing import Final

import structlog

from foretell_relayer.context import Context
from foretell_relayer.core import RECHECK, Facts, Step, StepKind
from foretell_relayer.errors import BreakerOpen, SubmitError, Underfunded, Unprofitable
from foretell_relayer.records import Row
from foretell_relayer.submit.fees import suggest
from foretell_relayer.submit.gas import GasUsed

log = structlog.get_logger(__name__)

NEW_WORK: Final = frozenset({StepKind.INFER, StepKind.PROVE, StepKind.DELIVER, StepKind.DELIVER_PROVEN})
RESERVE_GAS: Final = 10_000_000
"""Gas that the balance must cover before new work is taken: two transactions with large proofs."""

LONGEST_PAUSE: Final = 3600.0
_YEAR: Final = 31_536_000


@dataclass(frozen=True, slots=True)
class Price:
    """What things cost, in wei: a unit of gas, a proof, and a bond for a year as a part of it."""

    gas: int
    proof: int
    bond_rate: float


def cost(facts: Facts, step: StepKind, gas: GasUsed, price: Price, *, prove_all: bool) -> int:
    """What answering a request costs, in wei, if all goes well.

    Args:
        facts: what was asked.
        step: the next step, which tells whether the proof goes with the delivery.
        gas: what transactions take.
        price: what gas, proofs and bonds cost.
        prove_all: whether deliveries are proven although nobody asked.
    """
    proven_at_once = step in (StepKind.PROVE, StepKind.DELIVER_PROVEN)
    proven_later = facts.promised or facts.shown_early or prove_all
    if proven_at_once or (facts.promised and not facts.provisional):
        return gas.of(StepKind.DELIVER_PROVEN) * price.gas + price.proof
    locked = facts.proof_window if facts.promised else facts.challenge_window
    bond = int(facts.value_at_risk * price.bond_rate * locked / _YEAR)
    then = StepKind.SUBMIT_PROOF if proven_later else StepKind.FINALISE
    proof = price.proof if proven_later else 0
    return (gas.of(StepKind.DELIVER) + gas.of(then)) * price.gas + proof + bond


class Intake:
    """Lets new work in, or says why not. ``look`` first, once for all requests that are decided together."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._price = Price(0, 0, 0.0)
        self._may_try = False
        self._tried = b""
        self._tried_at = -math.inf

    async def look(self) -> None:
        """See how things stand.

        Raises:
            RpcError: the node does not tell our balance.
        """
        monitor = self._context.monitor
        was = monitor.refusal
        try:
            self._price = await self._current_price()
            self._mind_failures()
            monitor.refusal = None
        except SubmitError as error:
            monitor.refusal = error
        if type(was) is not type(monitor.refusal):
            self._tell(was)

    def admit(self, row: Row, facts: Facts, step: Step, now: int) -> Step:
        """The step, or what to wait for instead; ``now`` is the chain's time."""
        if step.kind not in NEW_WORK:
            return step
        refusal = self._context.monitor.refusal or self._unprofitable(row, facts, step.kind)
        if isinstance(refusal, BreakerOpen) and (self._may_try or row.request_id == self._tried):
            if self._may_try:
                self._may_try, self._tried, self._tried_at = False, row.request_id, time.monotonic()
            refusal = self._unprofitable(row, facts, step.kind)
        if refusal is not None:
            return Step(StepKind.WAIT, str(refusal), min(now + RECHECK, facts.deadline + 1))
        return step

    async def _current_price(self) -> Price:
        context, settings = self._context, self._context.settings
        base_fee = context.head.base_fee if context.head else 0
        fees = suggest(base_fee, settings.tip, settings.max_fee)
        balance = await context.chain.balance(context.signer.address)
        if balance < RESERVE_GAS * fees.most:
            raise Underfunded(f"{context.signer.address} has {balance} wei, less than two proofs' gas")
        paid = min(fees.most, base_fee + fees.tip)
        return Price(paid, settings.proof_cost, settings.bond_rate)

    def _mind_failures(self) -> None:
        """The circuit breaker: after each pause one request is tried."""
        settings = self._context.settings
        failed, newest = self._context.journal.failing()
        if failed < settings.breaker_after:
            self._may_try, self._tried = False, b""
            return
        pause = min(LONGEST_PAUSE, settings.breaker_pause * 2.0 ** (failed - settings.breaker_after))
        # A newest failure in the future is one from before the clock was set back.
        self._may_try = not 0 <= time.time() - newest <= pause and time.monotonic() - self._tried_at > pause
        raise BreakerOpen(f"the last {failed} requests failed here")

    def _unprofitable(self, row: Row, facts: Facts, step: StepKind) -> SubmitError | None:
        settings = self._context.settings
        if not settings.only_profitable:
            return None
        wei = cost(facts, step, self._context.gas, self._price, prove_all=settings.prove_all)
        if row.found.fee >= wei:
            return None
        return Unprofitable(f"the fee of {row.found.fee} wei does not cover its cost of {wei} wei")

    def _tell(self, was: SubmitError | None) -> None:
        error = self._context.monitor.refusal
        if error is None:
            log.info("intake_open", before=was.code if was else None)
            return
        self._context.metrics.errors.labels(error.code).inc()
        log.warning("intake_paused", code=error.code, why=error.message, hint=error.hint)
