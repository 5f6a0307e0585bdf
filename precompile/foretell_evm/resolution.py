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
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob

MAX_REQUESTS_PER_TRANSACTION: Final = 16


@dataclass(frozen=True, slots=True)
class CheckedBundle:
    """A bundle and what its evidence is worth in the parent state of the block that uses it."""

    bundle: Bundle
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

    def find(self, job: InferenceJob) -> CheckedBundle | None:
        """An answer to ``job`` of at least its assurance, if there is one."""
        ...


class Resolution:
    """Answers for the execution of a block, or of one transaction, and the order in which they were used.

    A bundle that the block has used once answers later requests that it suffices for; so a sidecar says
    exactly which bundle answered what, and no bundle occurs in it twice.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._used: list[CheckedBundle] = []
        self._asked: set[tuple[bytes, Assurance]] = set()

    @property
    def used(self) -> Sequence[CheckedBundle]:
        """Bundles in order of first use."""
        return tuple(self._used)

    def begin_transaction(self) -> None:
        """Count requests from zero."""
        self._asked.clear()

    def rewind(self, count: int) -> None:
        """Forget all but the first ``count`` used bundles: who used the others is left out."""
        del self._used[count:]

    def resolve(self, job: InferenceJob) -> CheckedBundle:
        """The answer to ``job``.

        Raises:
            InferenceNeeded: there is none.
            TooManyRequests: over ``MAX_REQUESTS_PER_TRANSACTION`` different requests in this transaction.
        """
        self._asked.add((job.request_id, job.min_assurance))
        if len(self._asked) > MAX_REQUESTS_PER_TRANSACTION:
            raise TooManyRequests
        for checked in self._used:
            if checked.bundle.request_id == job.request_id and checked.assurance >= job.min_assurance:
                return checked
        found = self._source.find(job)
        if found is None:
            raise InferenceNeeded(job)
        self._used.append(found)
        return found


class NoAnswers:
    """A source without any answer."""

    def find(self, job: InferenceJob) -> CheckedBundle | None:
        """Nothing."""
        del job
        return None


class Sidecar:
    """The checked bundles of a block to import: each must be asked for in its turn."""

    def __init__(self, bundles: Sequence[CheckedBundle]) -> None:
        self._bundles = bundles
        self._next = 0

    def find(self, job: InferenceJob) -> CheckedBundle | None:
        """The next bundle, if it is the one that this request needs."""
        if self._next == len(self._bundles):
            return None
        checked = self._bundles[self._next]
        if checked.bundle.request_id != job.request_id or checked.assurance < job.min_assurance:
            return None
        self._next += 1
        return checked


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
