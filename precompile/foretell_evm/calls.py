"""Unsigned messages: run on a throw-away state, or priced, with real answers of models."""

import threading
import time
from dataclasses import replace
from typing import Final, Protocol

from eth.abc import BlockHeaderAPI
from eth_utils import ValidationError, to_checksum_address

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import InferenceUnavailable, TransactionRejected
from foretell_evm.execution import GAS_STIPEND, Call, Executor, Invalid, Ready, gas_used, require_success
from foretell_evm.inference_pool import InferencePool
from foretell_evm.resolution import InferenceNeeded, Source
from foretell_evm.tracing import Traced, Tracer, Watch
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason

ESTIMATE_SLACK_PERMILLE: Final = 15
_ROUNDS: Final = 64
_FULL_GAS_PARTS: Final = 64


class ChainView(Protocol):
    """What a call needs to know of the chain."""

    @property
    def head(self) -> BlockRecord:
        """The last block."""
        ...

    def pending_header(self) -> BlockHeaderAPI:
        """The header that the next block would start from now."""
        ...

    def source(self, record: BlockRecord) -> Source:
        """The pool's answers as they are worth after a block."""
        ...


class CallRunner:
    """Runs messages; their inferences are asked for, and waited for up to ``patience`` seconds."""

    def __init__(self, chain: ChainView, executor: Executor, pool: InferencePool, patience: float) -> None:
        self._chain, self._executor, self._pool, self._patience = chain, executor, pool, patience

    def call(self, call: Call, record: BlockRecord | None = None, *, pending: bool = False) -> Ready:
        """Run a message after a block (the head unless given).

        Raises:
            InferenceUnavailable: an inference did not come in time.
            TransactionRejected: the message cannot be run.
        """
        record = record or self._chain.head
        header = self._chain.pending_header() if pending else record.header
        deadline = time.monotonic() + self._patience
        for _ in range(_ROUNDS):
            outcome = self._executor.call(header, record.state_root, call, self._chain.source(record))
            if isinstance(outcome, Ready):
                return outcome
            if isinstance(outcome, Invalid):
                raise TransactionRejected(outcome.message)
            self._wait_for_answer(outcome.job, to_checksum_address(call.sender), deadline)
        raise InferenceUnavailable(Reason.STALE, "the call asks for ever more inferences")

    def traced(
        self, call: Call, record: BlockRecord, tracer: Tracer, watch: Watch, *, pending: bool = False
    ) -> Traced:
        """Run a message once more that :meth:`call` has run, and watch it.

        Raises:
            InferenceUnavailable: an answer that was there is gone.
            TransactionRejected: the message cannot be run.
        """
        header = self._chain.pending_header() if pending else record.header
        try:
            return tracer.call(call, header, record.state_root, self._chain.source(record), watch)
        except InferenceNeeded as needed:
            raise InferenceUnavailable(Reason.STALE, str(needed)) from None
        except ValidationError as error:
            raise TransactionRejected(str(error)) from None

    def _wait_for_answer(self, job: InferenceJob, sender: str, deadline: float) -> None:
        finished = threading.Event()
        failures: list[InferenceUnavailable] = []

        def done(failure: InferenceUnavailable | None) -> None:
            if failure is not None:
                failures.append(failure)
            finished.set()

        self._pool.ask(job, sender, done)
        if not finished.wait(max(0.0, deadline - time.monotonic())):
            raise InferenceUnavailable(Reason.TIMEOUT, f"the call waited {self._patience} seconds")
        if failures:
            raise failures[0]

    def estimate_gas(self, call: Call) -> int:
        """Gas with which a message succeeds in the next block: the least, or at most 1.5 % more.

        Most messages need just what they use. Those that get refunds or call with a share of their gas need
        more; bisection stops early for them, as geth's does, since each trial may verify a proof.

        Raises:
            InferenceUnavailable: an inference did not come in time.
            TransactionRejected: the message cannot be run.
            RpcError: it fails with all the gas that a block has.
        """
        outcome = self.call(call, pending=True)
        require_success(outcome.computation)
        low = gas_used(call.gas, outcome.computation)
        if self._succeeds(call, low):
            return low
        high = call.gas
        likely = (low + GAS_STIPEND) * _FULL_GAS_PARTS // (_FULL_GAS_PARTS - 1)
        if likely < high and self._succeeds(call, likely):
            high = likely
        while high - low > max(1, high * ESTIMATE_SLACK_PERMILLE // 1000):
            middle = (low + high) // 2
            low, high = (low, middle) if self._succeeds(call, middle) else (middle, high)
        return high

    def _succeeds(self, call: Call, gas: int) -> bool:
        try:
            return self.call(replace(call, gas=gas), pending=True).computation.is_success
        except TransactionRejected:
            return False
