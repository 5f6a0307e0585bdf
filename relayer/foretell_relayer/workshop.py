"""The models of a store at work in this process: outputs and proofs, without any key.

Outputs come from a process that stays, a proof from a child of its own, so a crash of either is an error of
one job and of nothing else.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.infer.run import run_model
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.proofs import ProofCache
from foretell_relayer.models.store import ModelStore
from foretell_relayer.prove import circuit
from foretell_relayer.prove.errors import WrongWitness
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import Tensor


class Workshop:
    """Runs models. Many threads may ask at once; witnesses are computed one after another, proofs in
    parallel.
    """

    def __init__(self, store: ModelStore, *, proofs: ProofCache | None = None) -> None:
        self._store = store
        self._proofs = proofs
        self._worker = InferenceWorker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self, model_ids: Iterable[bytes] | None = None) -> None:
        """Make models ready before the first question, all of them by default: a second each where nothing is
        cached.
        """
        for model_id in [folder.model_id for folder in self._store] if model_ids is None else model_ids:
            self._store.prepare(model_id)

    def infer(self, folder: ModelFolder, inputs: Tensor, seed: bytes = NO_SEED) -> Tensor:
        """The model's output for quantised ``inputs``: the one correct one, where its class defines it."""
        return run_model(self._worker, self._store, folder, inputs, seed)

    def prove(self, folder: ModelFolder, inputs: Tensor, outputs: Tensor) -> bytes:
        """A verified proof that ``outputs`` are the model's for ``inputs``, from the cache if it is there.

        Raises:
            NoProofs: the model has no circuit.
            WrongWitness: they are not; so nothing can prove them.
        """
        known = self._proofs.get(folder.model_id, inputs, outputs) if self._proofs else None
        if known is not None:
            return known
        proof = circuit.prove(self._store.circuit(folder.model_id), inputs)
        if proof.outputs != outputs:
            raise WrongWitness("the model gives another output for this input, which no proof can support")
        if self._proofs:
            self._proofs.put(folder.model_id, inputs, outputs, proof.data)
        return proof.data

    def close(self) -> None:
        """End the worker process. A later job starts another."""
        self._worker.close()
