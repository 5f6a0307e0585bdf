"""What the pool knows, as it is worth in one state."""

from eth.abc import StateAPI

from foretell_evm.errors import EvidenceError
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.inference_pool import InferencePool
from foretell_evm.resolution import CheckedBundle
from foretell_spec.operator import InferenceJob


class PoolSource:
    """The pool's answers, as far as their evidence holds in one state."""

    def __init__(self, pool: InferencePool, checker: EvidenceChecker, state: StateAPI) -> None:
        self._pool, self._checker, self._state = pool, checker, state

    def find(self, job: InferenceJob) -> CheckedBundle | None:
        """The weakest answer that suffices."""
        for bundle in self._pool.answers(job.request_id):
            try:
                assurance = self._checker.check(bundle, self._state)
            except EvidenceError:
                continue
            if assurance >= job.min_assurance:
                return CheckedBundle(bundle, assurance)
        return None
