"""The inference pool: questions that pending transactions ask, and operators answering them in parallel.

Operators are drawn, not raced: for each request they stand in an order that follows from the request and
their addresses. The first is asked; one that fails, or keeps the pool waiting too long, is followed by the
next. One question is computed once, however many transactions ask it. Every answer whose evidence holds is
kept, late ones too; two different answers to one request are never dropped, and from then on only a proof
answers that request.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import structlog
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_canonical_address

from foretell_evm.config import PoolLimits
from foretell_evm.errors import EvidenceError, InferenceUnavailable
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob, Operator
from foretell_spec.reasons import Reason
from foretell_spec.sidecar import Answer, Dissent

log = structlog.get_logger(__name__)
Done = Callable[[InferenceUnavailable | None], None]
"""Called once in a thread of the pool: with ``None`` where there is an answer, else with what went wrong."""

_Key = tuple[bytes, Assurance]
_STOP_WAIT: Final = 2.0
_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Run:
    """One question under way."""

    job: InferenceJob
    senders: set[str]
    waiters: list[Done]


class InferencePool:
    """Asks operators. Thread-safe; calls nobody while it holds its lock.

    Args:
        check: judges a bundle's evidence in the state of the head; raises ``EvidenceError``.
        is_bonded: whether an operator's signature counts at the head.
        limits: bounds and deadlines.
    """

    def __init__(
        self,
        check: Callable[[Bundle], Assurance],
        is_bonded: Callable[[ChecksumAddress], bool],
        limits: PoolLimits,
    ) -> None:
        self._check = check
        self._is_bonded = is_bonded
        self._limits = limits
        self._lock = threading.Lock()
        self._operators: dict[ChecksumAddress, Operator] = {}
        self._calls: dict[ChecksumAddress, int] = {}
        self._runs: dict[_Key, _Run] = {}
        self._answers: OrderedDict[bytes, list[Bundle]] = OrderedDict()
        self._dissents: dict[bytes, list[Dissent]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inference-pool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask nobody any more. Answers under way are not waited for."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(_STOP_WAIT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_WAIT)
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def add_operator(self, operator: Operator) -> None:
        """Let an operator be drawn from now on, as long as it is bonded."""
        with self._lock:
            self._operators[operator.address] = operator

    def remove_operator(self, address: ChecksumAddress) -> None:
        """Draw an operator no more."""
        with self._lock:
            self._operators.pop(address, None)

    @property
    def operators(self) -> tuple[ChecksumAddress, ...]:
        """Addresses of all operators that were added."""
        with self._lock:
            return tuple(self._operators)

    def dissents(self, request_ids: Iterable[bytes] | None = None) -> tuple[Dissent, ...]:
        """Different answers to one request, of some requests or of all: evidence for a dispute."""
        with self._lock:
            wanted = self._dissents if request_ids is None else request_ids
            return tuple(dissent for each in wanted for dissent in self._dissents.get(each, ()))

    def forget(self) -> None:
        """Drop all answers and dissents, so that operators are asked as if for the first time."""
        with self._lock:
            self._answers.clear()
            self._dissents.clear()

    @property
    def pending(self) -> tuple[InferenceJob, ...]:
        """Questions under way."""
        with self._lock:
            return tuple(run.job for run in self._runs.values())

    def answers(self, request_id: bytes) -> Sequence[Answer]:
        """Usable answers to a request, those without a proof first; after a dissent only proven ones."""
        with self._lock:
            bundles = list(self._answers.get(request_id, ()))
            disputed = request_id in self._dissents
        bundles.sort(key=lambda bundle: bool(bundle.proof))
        return [Answer.of(bundle) for bundle in bundles if bundle.proof or not disputed]

    def ask(self, job: InferenceJob, sender: str, done: Done) -> None:
        """Have a question answered; questions that are under way already are joined.

        Raises:
            InferenceUnavailable: ``POOL_FULL``, for all or for this sender; ``done`` is not called then.
        """
        with self._lock:
            tier = Assurance.PROVEN if job.request_id in self._dissents else job.min_assurance
            run = self._join(replace(job, min_assurance=tier), sender)
            run.waiters.append(done)
            if len(run.waiters) > 1:
                return
        asyncio.run_coroutine_threadsafe(self._serve(run), self._loop)

    def _join(self, job: InferenceJob, sender: str) -> _Run:
        key = (job.request_id, job.min_assurance)
        run = self._runs.get(key)
        asked = sum(sender in each.senders for each in self._runs.values())
        if (run is None or sender not in run.senders) and asked >= self._limits.requests_per_sender:
            raise InferenceUnavailable(Reason.POOL_FULL, f"{sender} has {asked} questions under way")
        if run is None:
            if len(self._runs) >= self._limits.requests:
                raise InferenceUnavailable(Reason.POOL_FULL, f"{len(self._runs)} questions are under way")
            run = self._runs[key] = _Run(job, set(), [])
        run.senders.add(sender)
        return run

    async def _serve(self, run: _Run) -> None:
        try:
            failure = await self._draw(run.job)
        except asyncio.CancelledError:
            failure = InferenceUnavailable(Reason.TIMEOUT, "the node stops")
        with self._lock:
            self._runs.pop((run.job.request_id, run.job.min_assurance), None)
            waiters = list(run.waiters)
        if waiters:
            _in_thread("inference-done", lambda: _tell(waiters, failure))

    async def _draw(self, job: InferenceJob) -> InferenceUnavailable | None:
        """Ask one operator after the other; ``None`` once there is an answer."""
        ranking = await self._call(lambda: self._ranking(job))
        if not ranking:
            return self._failure(job, Reason.NO_OPERATOR, "none is bonded and attached to this node")
        started = self._loop.time()
        waiting: set[asyncio.Future[None]] = set()
        trouble: list[Exception] = []
        while ranking or waiting:
            if ranking:
                waiting.add(self._start(ranking.pop(0), job))
            left = started + self._limits.deadline - self._loop.time()
            if left <= 0:
                break
            patience = min(left, self._limits.patience) if ranking else left
            done, waiting = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for answered in done:
                error = answered.exception()
                if error is None:
                    return None
                trouble.append(error if isinstance(error, Exception) else RuntimeError(str(error)))
        return self._explain(job, trouble, bool(waiting))

    def _explain(self, job: InferenceJob, trouble: Sequence[Exception], late: bool) -> InferenceUnavailable:
        detail = "; ".join(f"{type(error).__name__}: {error}" for error in trouble)
        if late:
            return self._failure(job, Reason.TIMEOUT, detail)
        if any(isinstance(error, EvidenceError) for error in trouble):
            return self._failure(job, Reason.BAD_EVIDENCE, detail)
        return self._failure(job, Reason.NO_OPERATOR, detail)

    def _failure(self, job: InferenceJob, reason: Reason, detail: str) -> InferenceUnavailable:
        with self._lock:
            disputed = job.request_id in self._dissents
        return InferenceUnavailable(Reason.UNDETERMINED if disputed else reason, detail)

    def _ranking(self, job: InferenceJob) -> list[Operator]:
        with self._lock:
            known = list(self._operators.values())
        bonded = [operator for operator in known if self._is_bonded(operator.address)]
        return sorted(bonded, key=lambda operator: draw_key(job.request_id, operator.address))

    def _start(self, operator: Operator, job: InferenceJob) -> "asyncio.Future[None]":
        return self._call(lambda: self._answer(operator, job))

    def _call(self, function: Callable[[], _Result]) -> "asyncio.Future[_Result]":
        """Run ``function`` in a daemon thread: a hung operator must not keep the process from ending."""
        future: asyncio.Future[_Result] = self._loop.create_future()
        # Nobody looks at the error of an operator that was given up.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

        def settle(set_outcome: Callable[[], None]) -> None:
            if not future.done():
                set_outcome()

        def run() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - an operator may raise anything; all of it means no answer
                outcome = partial(future.set_exception, error)
            else:
                outcome = partial(future.set_result, result)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(settle, outcome)

        _in_thread("operator", run)
        return future

    def _answer(self, operator: Operator, job: InferenceJob) -> None:
        """Ask one operator and keep what it says, however late that is."""
        with self._lock:
            if self._calls.get(operator.address, 0) >= self._limits.calls_per_operator:
                raise TimeoutError(f"operator {operator.address} is busy")
            self._calls[operator.address] = self._calls.get(operator.address, 0) + 1
        try:
            bundle = operator.answer(job)
        finally:
            with self._lock:
                self._calls[operator.address] -= 1
        self._keep(operator, job, bundle)

    def _keep(self, operator: Operator, job: InferenceJob, bundle: Bundle) -> None:
        if bundle.request_id != job.request_id or bundle.operator != operator.address:
            raise EvidenceError(
                f"operator {operator.address} answered another question, or in another's name"
            )
        assurance = self._check(bundle)
        with self._lock:
            kept = self._answers.setdefault(job.request_id, [])
            self._answers.move_to_end(job.request_id)
            self._note_dissent(kept, bundle)
            if bundle.hash not in {each.hash for each in kept}:
                kept.append(bundle)
            if len(self._answers) > self._limits.answers:
                forgotten, _ = self._answers.popitem(last=False)
                self._dissents.pop(forgotten, None)
        if assurance < job.min_assurance:
            raise EvidenceError(f"{assurance.name} evidence where {job.min_assurance.name} was asked for")

    def _note_dissent(self, kept: Sequence[Bundle], bundle: Bundle) -> None:
        """Pair a bundle with the first kept one that says something else."""
        for other in kept:
            if other.outputs != bundle.outputs:
                dissents = self._dissents.setdefault(bundle.request_id, [])
                dissent = Dissent(other, bundle)
                if dissent.claims not in {each.claims for each in dissents}:
                    dissents.append(dissent)
                return


def draw_key(request_id: bytes, operator: ChecksumAddress) -> bytes:
    """Operators are asked in ascending order of this.

    The order of the operators that are there follows from the question. Who foresees a question can still
    look for an address that comes first for it, and every further bond buys one more place.
    """
    return keccak(request_id + to_canonical_address(operator))


def _tell(waiters: Sequence[Done], failure: InferenceUnavailable | None) -> None:
    """Call every waiter: an error of one is no reason that the others wait for ever."""
    for done in waiters:
        try:
            done(failure)
        except Exception:  # whoever waits may be anybody; the log gets the traceback
            log.exception("waiter_failed")


def _in_thread(name: str, function: Callable[[], object]) -> None:
    threading.Thread(target=function, name=name, daemon=True).start()
