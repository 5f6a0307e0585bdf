"""Two operators contradict each other: run the model again, and say who deviated.

What an operator may say depends on the model's class. Claims are judged one by one, so both can be wrong, and
of a class with a tolerance both can be right.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.infer.run import run_model
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.store import ModelStore
from foretell_spec import sampling
from foretell_spec.bundle import Bundle
from foretell_spec.divergence import DeterminismClass, agreed_value, judge
from foretell_spec.manifest import Manifest
from foretell_spec.sidecar import Dissent
from foretell_spec.tensor import WAD, Tensor, dequantise


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why each claim, in the dissent's order, is not admitted (``None``: it is), and the quantised output
    that stands.
    """

    faults: tuple[str | None, str | None]
    stands: Tensor


class Judge:
    """Judges dissents with the models of a store; its worker process ends with it."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._worker = InferenceWorker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    def judge(self, dissent: Dissent) -> Judgement:
        """Run the model on the dissent's input, and judge both claims.

        Raises:
            UnknownModel: the store does not hold the model.
            ModelError: it cannot be run here; the leaf says why.
            ProveError: EZKL could not answer.
            TensorError: the input is not of the model's domain.
        """
        lead = dissent.first
        folder = self._store.get(lead.model_id)
        inputs = folder.manifest.admit(lead.inputs)
        right = run_model(self._worker, self._store, folder, inputs, lead.seed)
        claims = (dissent.first, dissent.second)
        faults = (self._fault(folder, right, dissent.first), self._fault(folder, right, dissent.second))
        admitted = [claim.outputs for claim, why in zip(claims, faults, strict=True) if why is None]
        seeded = folder.manifest.determinism is DeterminismClass.SEEDED
        agree = sampling.agreed_tokens if seeded else agreed_value
        return Judgement(faults, agree(admitted) if admitted else right)

    def _fault(self, folder: ModelFolder, right: Tensor, claim: Bundle) -> str | None:
        if len(claim.outputs) != len(right):
            return f"{len(claim.outputs)} numbers, where the model gives {len(right)}"
        if folder.manifest.determinism is DeterminismClass.SEEDED:
            return self._token_fault(folder, claim)
        return _distance_fault(folder.manifest, right, claim)

    def _token_fault(self, folder: ModelFolder, claim: Bundle) -> str | None:
        logits, tau = graph.logits(self._worker, folder), folder.manifest.tolerance
        fault = sampling.first_fault(claim.seed, claim.inputs, claim.outputs, logits, tau)
        if fault is None:
            return None
        if fault.margin is None:
            return f"token {fault.token} of step {fault.step} is none of the model's"
        return f"token {fault.token} of step {fault.step} misses the best score by {fault.margin / WAD:g}"


def _distance_fault(manifest: Manifest, right: Tensor, claim: Bundle) -> str | None:
    ours, theirs = (dequantise(outputs, manifest.output_scale) for outputs in (right, claim.outputs))
    if not judge(manifest.determinism, ours, theirs, manifest.tolerance).contradicts:
        return None
    if manifest.determinism is DeterminismClass.FLOAT:
        return f"over the tolerance of {manifest.tolerance / WAD:g} away from the pinned runtime's value"
    return "not what the model gives, bit for bit"
