"""How the precompile gets its answers while the EVM runs.

The EVM is a pure function of block, state and a *resolution*: where the answers of this execution come from.
A missing answer raises ``InferenceNeeded``, which is no ``VMError``: it unwinds through every call frame, so
no contract can catch it, and a transaction never sees a state in which its answer does not exist.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from foretell_spec.assurance import Assurance
from foretell_spec.operator import InferenceJob
from foretell_spec.sidecar import Answer, Dissent

MAX_REQUESTS_PER_TRANSACTION: Final = 16


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer and what its evidence is worth in the parent state of the block that uses it."""

    answer: Answer
    assurance: Assurance


class InferenceNeeded(Exception):
    """Execution asked for an answer that is not there."""

    def __init__(self, job: InferenceJob) -> None:
        super().__init__(f"request 0x{job.request_id.hex()}")
        self.job = job


class TooManyRequests(Exception):
    """The transaction asks for more different inferences than one transaction may."""


class Source(Protocol):
    """Where answers come from."""

    def find(self, job: InferenceJob) -> CheckedAnswer | None:
        """An answer to ``job`` of at least its assurance, if there is one."""
        ...

    def dissents(self, request_ids: Sequence[bytes]) -> tuple[Dissent, ...]:
        """What is known against answers to these requests, as a sidecar may carry it."""
        ...


class Resolution:
    """Answers for the execution of a block, or of one transaction, and the order in which they were used.

    What the block has used once answers later requests that it suffices for; so a sidecar says exactly which
    answer was used for what, and none occurs in it twice.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._used: list[CheckedAnswer] = []
        self._asked: set[tuple[bytes, Assurance]] = set()
        self._seeded = 0

    @property
    def used(self) -> Sequence[CheckedAnswer]:
        """Answers in order of first use."""
        return tuple(self._used)

    def begin_transaction(self) -> None:
        """Count requests from zero."""
        self._asked.clear()
        self._seeded = 0

    def count_seeded(self) -> int:
        """How many calls of seeded models this transaction made before this one, reverted ones included."""
        index, self._seeded = self._seeded, self._seeded + 1
        return index

    def rewind(self, count: int) -> None:
        """Forget all but the first ``count`` used answers: who used the others is left out."""
        del self._used[count:]

    def resolve(self, job: InferenceJob) -> CheckedAnswer:
        """The answer to ``job``.

        Raises:
            InferenceNeeded: there is none.
            TooManyRequests: over ``MAX_REQUESTS_PER_TRANSACTION`` different requests in this transaction.
        """
        self._asked.add((job.request_id, job.min_assurance))
        if len(self._asked) > MAX_REQUESTS_PER_TRANSACTION:
            raise TooManyRequests
        for checked in self._used:
            if checked.answer.request_id == job.request_id and checked.assurance >= job.min_assurance:
                return checked
        found = self._source.find(job)
        if found is None:
            raise InferenceNeeded(job)
        self._used.append(found)
        return found


class NoAnswers:
    """A source without any answer."""

    def find(self, job: InferenceJob) -> CheckedAnswer | None:
        """Nothing."""
        del job
        return None

    def dissents(self, request_ids: Sequence[bytes]) -> tuple[Dissent, ...]:
        """Nothing."""
        del request_ids
        return ()


class Replay:
    """The checked answers of a block to import: each must be asked for in its turn."""

    def __init__(self, answers: Sequence[CheckedAnswer], dissents: tuple[Dissent, ...] = ()) -> None:
        self._answers = answers
        self._dissents = dissents
        self._next = 0

    def find(self, job: InferenceJob) -> CheckedAnswer | None:
        """The next answer, if it is the one that this request needs."""
        if self._next == len(self._answers):
            return None
        checked = self._answers[self._next]
        if checked.answer.request_id != job.request_id or checked.assurance < job.min_assurance:
            return None
        self._next += 1
        return checked

    def dissents(self, request_ids: Sequence[bytes]) -> tuple[Dissent, ...]:
        """Those of the block, which are about its own answers."""
        del request_ids
        return self._dissents


_CURRENT: ContextVar[Resolution | None] = ContextVar("foretell_resolution", default=None)


@contextmanager
def resolving(resolution: Resolution) -> Iterator[Resolution]:
    """Let every execution of this thread, within the block, take its answers from ``resolution``."""
    token = _CURRENT.set(resolution)
    try:
        yield resolution
    finally:
        _CURRENT.reset(token)


def current() -> Resolution:
    """The resolution of this execution; one without answers where none is set."""
    return _CURRENT.get() or Resolution(NoAnswers())
