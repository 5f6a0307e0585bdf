"""What the pool knows, as it is worth in one state."""

from collections.abc import Callable, Sequence
from functools import cached_property

from eth.abc import StateAPI

from foretell_evm.errors import EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.inference_pool import InferencePool
from foretell_evm.resolution import CheckedAnswer
from foretell_spec.operator import InferenceJob
from foretell_spec.sidecar import Dissent


class PoolSource:
    """The pool's answers and dissents, as far as their evidence holds in one state."""

    def __init__(self, pool: InferencePool, checker: EvidenceChecker, state: Callable[[], StateAPI]) -> None:
        self._pool, self._checker, self._make_state = pool, checker, state

    @cached_property
    def _state(self) -> StateAPI:
        """Made when first asked for: most that runs asks for no answer."""
        return self._make_state()

    def find(self, job: InferenceJob) -> CheckedAnswer | None:
        """The weakest answer that suffices."""
        for answer in self._pool.answers(job.request_id):
            try:
                assurance = self._checker.check_answer(answer, self._state)
            except EvidenceError:
                continue
            if assurance >= job.min_assurance:
                return CheckedAnswer(answer, assurance)
        return None

    def dissents(self, request_ids: Sequence[bytes]) -> tuple[Dissent, ...]:
        """What the pool knows against answers to these requests."""
        return tuple(dissent for dissent in self._pool.dissents(request_ids) if self._holds(dissent))

    def _holds(self, dissent: Dissent) -> bool:
        try:
            self._checker.check_dissent(dissent, self._state)
        except EvidenceError:
            return False
        return True
