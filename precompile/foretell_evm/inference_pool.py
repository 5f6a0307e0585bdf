"""The inference pool: questions that pending transactions ask, and operators answering them in parallel.

Operators are drawn, not raced (docs/spec/draw.md). One question is computed once, however many ask it, and
as long as anybody waits for it: what nobody waits for any more is taken out of the operators' queues, and is
told to nobody where it is under way. Every answer whose evidence holds is kept, late ones too; two answers
to one request that contradict each other by the rule of the model's class are never dropped, and from then on
no single signature answers that request.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

import structlog
from eth_typing import ChecksumAddress

from foretell_evm.answer_book import AnswerBook
from foretell_evm.collector import Collector, Drawn
from foretell_evm.config import PoolLimits, Quorum
from foretell_evm.errors import EvidenceError, InferenceUnavailable
from foretell_evm.judge import HeadJudge
from foretell_evm.lanes import Lane, LaneFull
from foretell_evm.quorum import QuorumRound, agreement
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import Commitment, Reveal
from foretell_spec.operator import InferenceJob, Operator, QuorumOperator
from foretell_spec.reasons import Reason
from foretell_spec.sidecar import Answer, Dissent

log = structlog.get_logger(__name__)
Done = Callable[[InferenceUnavailable | None], None]
"""Called once in a thread of the pool: with ``None`` where there is an answer, else with what went wrong."""

_Key = tuple[bytes, Assurance]
_STOP_WAIT: Final = 2.0
_REVEALS_AT_ONCE: Final = 2
_Result = TypeVar("_Result")


class Question:
    """What somebody waits for. Its end is told once, or never after :meth:`withdraw`."""

    def __init__(self, pool: "InferencePool", run: "_Run", sender: str, done: Done) -> None:
        self._pool = pool
        self.run, self.sender, self.done = run, sender, done
        self.expiry: asyncio.TimerHandle | None = None

    def withdraw(self) -> None:
        """Wait no more. What was answered or withdrawn already stays so."""
        self._pool.withdraw(self)

    def stop_clock(self) -> None:
        """Let it not expire."""
        if self.expiry is not None:
            self.expiry.cancel()


@dataclass(eq=False, slots=True)
class _Run:
    """One question to operators, and who waits for it. Guarded by the pool's lock."""

    job: InferenceJob
    waiting: list[Question] = field(default_factory=list)
    trouble: list[BaseException] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None

    @property
    def key(self) -> _Key:
        return (self.job.request_id, self.job.min_assurance)

    def is_asked_by(self, sender: str) -> bool:
        return any(question.sender == sender for question in self.waiting)


class InferencePool:
    """Asks operators. Thread-safe; calls nobody while it holds its lock.

    Args:
        judge: judges evidence and bonds at the head; called in one thread.
        limits: bounds and deadlines.
        quorum: how many operators are asked for an ``AGREED`` answer, and how many must agree.
    """

    def __init__(self, judge: HeadJudge, limits: PoolLimits, quorum: Quorum) -> None:
        self._judge, self._limits, self._quorum = judge, limits, quorum
        self._lock = threading.Lock()
        self._operators: dict[ChecksumAddress, Drawn] = {}
        self._runs: dict[_Key, _Run] = {}
        self._asked: Counter[str] = Counter()
        self._book = AnswerBook(limits.answers)
        # One thread each: what they run holds the interpreter's lock, and a block must get its turn.
        self._judging = Lane("inference-judge", 1)
        self._telling = Lane("inference-teller", 1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inference-pool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask nobody any more, and tell all who wait. Answers under way are not waited for."""
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

    # -- operators

    def add_operator(self, operator: Operator) -> None:
        """Let an operator be drawn from now on, as long as it is bonded."""
        name, limits = f"operator-{operator.address}", self._limits
        lane = Lane(name, limits.calls_per_operator, limits.queue_per_operator)
        reveals = Lane(f"{name}-reveals", _REVEALS_AT_ONCE, limits.queue_per_operator)
        with self._lock:
            self._operators[operator.address] = Drawn(operator, lane, reveals)

    def remove_operator(self, address: ChecksumAddress) -> None:
        """Draw an operator no more."""
        with self._lock:
            self._operators.pop(address, None)

    @property
    def operators(self) -> tuple[ChecksumAddress, ...]:
        """Addresses of all operators that were added."""
        with self._lock:
            return tuple(self._operators)

    def drawn(self, request_id: bytes) -> Sequence[ChecksumAddress]:
        """The order in which operators would be asked now."""
        return self._judge.draw(request_id, self.operators)

    # -- what is known

    def answers(self, request_id: bytes) -> Sequence[Answer]:
        """Usable answers to a request, the weakest first; after a dissent none of a single signature."""
        return self._book.answers(request_id)

    def dissents(self, request_ids: Iterable[bytes] | None = None) -> tuple[Dissent, ...]:
        """Different answers to one request, of some requests or of all: evidence for a dispute."""
        return self._book.dissents(request_ids)

    @property
    def broken_reveals(self) -> tuple[Reveal, ...]:
        """Signed reveals that do not open the commitment that they name: evidence of fault."""
        return self._book.broken_reveals

    def forget(self) -> None:
        """Drop all that operators have said, so that they are asked as if for the first time."""
        self._book.clear()

    @property
    def pending(self) -> tuple[InferenceJob, ...]:
        """Questions under way."""
        with self._lock:
            return tuple(run.job for run in self._runs.values())

    # -- questions

    def ask(self, job: InferenceJob, sender: str, done: Done) -> Question:
        """Have a question answered; one that is under way already is joined.

        The deadline counts from now, for this question alone.

        Raises:
            InferenceUnavailable: ``POOL_FULL`` or ``SENDER_LIMIT``, or the node has stopped; ``done`` is not
                called then.
        """
        if self._loop.is_closed():
            raise InferenceUnavailable(Reason.TIMEOUT, "the node has stopped")
        with self._lock:
            run = self._runs.get((job.request_id, job.min_assurance))
            if run is None or not run.is_asked_by(sender):
                self._require_share(sender)
                self._asked[sender] += 1
            if run is None:
                run = self._runs[job.request_id, job.min_assurance] = _Run(job)
            question = Question(self, run, sender, done)
            run.waiting.append(question)
        self._loop.call_soon_threadsafe(self._begin, question, self._loop.time() + self._limits.deadline)
        return question

    def _require_share(self, sender: str) -> None:
        asked, limits = self._asked[sender], self._limits
        if asked >= limits.requests_per_sender:
            raise InferenceUnavailable(Reason.SENDER_LIMIT, f"{sender} has {asked} questions under way")
        if len(self._runs) >= limits.requests:
            raise InferenceUnavailable(Reason.POOL_FULL, f"{len(self._runs)} questions are under way")

    def withdraw(self, question: Question) -> bool:
        """Take a question back; ``False`` where it was answered or withdrawn before."""
        with self._lock:
            run = question.run
            if question not in run.waiting:
                return False
            run.waiting.remove(question)
            self._release(question)
            if not run.waiting:
                del self._runs[run.key]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, question)
        return True

    def _release(self, question: Question) -> None:
        if question.run.is_asked_by(question.sender):
            return
        self._asked[question.sender] -= 1
        if not self._asked[question.sender]:
            del self._asked[question.sender]

    # -- in the event loop

    def _begin(self, question: Question, due: float) -> None:
        run = question.run
        with self._lock:
            if question not in run.waiting:
                return
        question.expiry = self._loop.call_at(due, self._expire, question)
        if run.task is None:
            run.task = self._loop.create_task(self._serve(run))

    def _end(self, question: Question) -> None:
        question.stop_clock()
        run = question.run
        if not run.waiting and run.task is not None:
            run.task.cancel()

    def _expire(self, question: Question) -> None:
        if self.withdraw(question):
            self._tell(question, self._explain(question.run, Reason.TIMEOUT))

    async def _serve(self, run: _Run) -> None:
        try:
            failure = await self._answer(run)
        except asyncio.CancelledError:
            failure = InferenceUnavailable(Reason.TIMEOUT, "the node stops")
        except EvidenceError as error:
            # The head has changed since: its registry no longer vouches for an operator or the model.
            failure = InferenceUnavailable(Reason.STALE, str(error))
        with self._lock:
            told = list(run.waiting)
            for question in told:
                run.waiting.remove(question)
                self._release(question)
            if self._runs.get(run.key) is run:
                del self._runs[run.key]
        for question in told:
            question.stop_clock()
            self._tell(question, failure)

    def _tell(self, question: Question, failure: InferenceUnavailable | None) -> None:
        self._telling.submit(partial(_tell, question.done, failure))

    async def _answer(self, run: _Run) -> InferenceUnavailable | None:
        """Ask operators; ``None`` once there is an answer."""
        job = await self._judged(lambda: self._required(run.job))
        ranking = await self._judged(lambda: self._ranking(job))
        if job.min_assurance is Assurance.AGREED:
            return await self._agree(run, job, ranking)
        if not ranking:
            detail = "none is bonded and attached to this node"
            return InferenceUnavailable(Reason.NO_OPERATOR, detail)
        collector = Collector(partial(self._answer_of, job), self._limits.patience, run.trouble)
        if await collector.collect(ranking, 1, 1):
            return None
        return self._explain(run, Reason.NO_OPERATOR)

    def _required(self, job: InferenceJob) -> InferenceJob:
        """The job at the assurance that counts now: about a dissent, no single signature does."""
        settling = self._judge.settling(job.model_id) if self._book.is_disputed(job.request_id) else None
        return job if settling is None else replace(job, min_assurance=max(job.min_assurance, settling))

    def _ranking(self, job: InferenceJob) -> deque[Drawn]:
        with self._lock:
            known = dict(self._operators)
        if job.min_assurance is Assurance.AGREED:
            known = {key: each for key, each in known.items() if isinstance(each.operator, QuorumOperator)}
        return deque(known[address] for address in self._judge.draw(job.request_id, known))

    async def _agree(
        self, run: _Run, job: InferenceJob, ranking: deque[Drawn]
    ) -> InferenceUnavailable | None:
        if len(ranking) < self._quorum.agree:
            detail = f"{len(ranking)} bonded operators commit and reveal; {self._quorum.agree} must agree"
            return InferenceUnavailable(Reason.NO_OPERATOR, detail)
        agreeing = QuorumRound(
            job,
            self._quorum,
            self._limits.patience,
            self._accept_commitment,
            self._accept_reveal,
            run.trouble,
        )

        async def settle(seated: Sequence[Bundle]) -> Answer | None:
            return await self._judged(lambda: self._agreed(seated))

        seated, answer = await agreeing.run(ranking, settle)
        if answer is not None:
            return None
        heard = len(seated) >= self._quorum.agree
        return self._explain(run, Reason.UNDETERMINED if heard else Reason.NO_OPERATOR)

    def _agreed(self, seated: Sequence[Bundle]) -> Answer | None:
        """What a quorum of bundles agrees on, kept as an answer."""
        answer = agreement(seated, self._quorum.agree, self._judge.contradict)
        if answer is not None:
            self._judge.check_answer(answer)
            self._book.keep_agreed(answer)
        return answer

    def _explain(self, run: _Run, reason: Reason) -> InferenceUnavailable:
        """Why a run has no answer: ``reason``, unless what operators did says more."""
        detail = "; ".join(f"{type(error).__name__}: {error}" for error in run.trouble)
        if self._book.is_disputed(run.job.request_id):
            reason = Reason.UNDETERMINED
        elif reason is Reason.NO_OPERATOR and any(isinstance(each, EvidenceError) for each in run.trouble):
            reason = Reason.BAD_EVIDENCE
        elif reason is Reason.NO_OPERATOR and any(isinstance(each, LaneFull) for each in run.trouble):
            reason = Reason.POOL_FULL
        return InferenceUnavailable(reason, detail)

    async def _judged(self, function: Callable[[], _Result]) -> _Result:
        return await asyncio.wrap_future(self._judging.submit(function))

    # -- in the lanes of operators

    def _answer_of(self, job: InferenceJob, drawn: Drawn) -> Bundle:
        """Ask one operator and keep what it says, however late that is."""
        address = drawn.operator.address
        bundle = drawn.operator.answer(job)
        if bundle.request_id != job.request_id or bundle.operator != address:
            raise EvidenceError(f"operator {address} answered another question, or in another's name")
        assurance = self._judging.submit(lambda: self._keep(bundle)).result()
        if assurance < job.min_assurance:
            raise EvidenceError(f"{assurance.name} evidence where {job.min_assurance.name} was asked for")
        return bundle

    def _keep(self, bundle: Bundle) -> Assurance:
        assurance = self._judge.check(bundle)
        self._book.keep(bundle, self._judge.contradict)
        return assurance

    def _accept_commitment(self, commitment: Commitment) -> None:
        self._judging.submit(lambda: self._judge.check_commitment(commitment)).result()

    def _accept_reveal(self, reveal: Reveal) -> None:
        self._judging.submit(lambda: self._judge.check_reveal(reveal)).result()
        self._judging.submit(lambda: self._book.keep(reveal.bundle, self._judge.contradict)).result()
        if not reveal.holds:
            self._book.keep_broken(reveal)


def _tell(done: Done, failure: InferenceUnavailable | None) -> None:
    """An error of whoever waits is no reason that the others wait for ever."""
    try:
        done(failure)
    except Exception:  # whoever waits may be anybody; the log gets the traceback
        log.exception("waiter_failed")
