"""Unsigned messages: run on a throw-away state, or priced, with real answers of models."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from eth.abc import BlockHeaderAPI, ComputationAPI
from eth.exceptions import OutOfGas
from eth_typing import Address
from eth_utils import ValidationError, to_checksum_address

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import InferenceUnavailable, RpcError, TransactionRejected
from foretell_evm.execution import GAS_STIPEND, Call, Executor, gas_used, require_success
from foretell_evm.inference_pool import InferencePool
from foretell_evm.resolution import InferenceNeeded, Source
from foretell_evm.tracing import Traced, Tracer, Watch
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason

_Result = TypeVar("_Result")
ESTIMATE_SLACK_PERMILLE: Final = 15
_ROUNDS: Final = 64
_FULL_GAS_PARTS: Final = 64
MAX_WAITING: Final = 128
"""Callers that wait for answers at once."""


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
        self._lock = threading.Lock()
        self.waiting = 0
        """Callers that wait for answers now."""

    def call(self, call: Call, record: BlockRecord | None = None, *, pending: bool = False) -> ComputationAPI:
        """Run a message after a block (the head unless given).

        Raises:
            InferenceUnavailable: an inference did not come in time.
            TransactionRejected: the message cannot be run.
        """
        record = record or self._chain.head
        header = self._header(record, pending)
        return self.with_answers(
            lambda source: self._executor.call(header, record, call, source), record, call.sender
        )

    def traced(
        self,
        call: Call,
        record: BlockRecord,
        tracer: Tracer,
        watch: Callable[[], Watch],
        *,
        pending: bool = False,
    ) -> Traced:
        """:meth:`call`, watched; ``watch`` is asked for a fresh watch each time that the message starts anew.

        Raises:
            InferenceUnavailable: an inference did not come in time.
            TransactionRejected: the message cannot be run.
        """
        header = self._header(record, pending)
        return self.with_answers(
            lambda source: tracer.call(call, header, record, source, watch()), record, call.sender
        )

    def _header(self, record: BlockRecord, pending: bool) -> BlockHeaderAPI:
        return self._chain.pending_header() if pending else record.header

    def with_answers(self, run: Callable[[Source], _Result], record: BlockRecord, sender: Address) -> _Result:
        """Run something until all the answers that it asks for are there.

        Args:
            run: is given the answers that there are, as they are worth after ``record``.
            record: a block.
            sender: who asks, for the limits of the inference pool.

        Raises:
            InferenceUnavailable: an inference did not come in time.
            TransactionRejected: what ran is not valid.
        """
        deadline = time.monotonic() + self._patience
        for _ in range(_ROUNDS):
            try:
                return run(self._chain.source(record))
            except InferenceNeeded as needed:
                self._wait_in_a_place(needed.job, to_checksum_address(sender), deadline)
            except ValidationError as error:
                raise TransactionRejected(str(error)) from None
        raise InferenceUnavailable(Reason.STALE, "the call asks for ever more inferences")

    def _wait_in_a_place(self, job: InferenceJob, sender: str, deadline: float) -> None:
        with self._lock:
            if self.waiting >= MAX_WAITING:
                raise InferenceUnavailable(Reason.POOL_FULL, f"{MAX_WAITING} calls wait already")
            self.waiting += 1
        try:
            self._wait_for_answer(job, sender, deadline)
        finally:
            with self._lock:
                self.waiting -= 1

    def _wait_for_answer(self, job: InferenceJob, sender: str, deadline: float) -> None:
        finished = threading.Event()
        failures: list[InferenceUnavailable] = []

        def done(failure: InferenceUnavailable | None) -> None:
            if failure is not None:
                failures.append(failure)
            finished.set()

        question = self._pool.ask(job, sender, done)
        if not finished.wait(max(0.0, deadline - time.monotonic())):
            question.withdraw()
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
        computation = self.call(call, pending=True)
        if computation.is_error and isinstance(computation.error, OutOfGas):
            raise RpcError(-32000, f"gas required exceeds allowance ({call.gas})")
        require_success(computation)
        low = gas_used(call.gas, computation)
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
            return self.call(replace(call, gas=gas), pending=True).is_success
        except TransactionRejected:
            return False
