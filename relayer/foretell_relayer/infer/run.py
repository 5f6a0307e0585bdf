"""The output of a model of any class."""

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.store import ModelStore
from foretell_spec.tensor import Tensor


def run_model(
    worker: InferenceWorker, store: ModelStore, folder: ModelFolder, inputs: Tensor, seed: bytes
) -> Tensor:
    """The output for quantised ``inputs``, quantised: the one correct one, where the class defines it.

    Raises:
        ModelError: the model cannot be run here; the leaf says why.
        ProveError: EZKL could not answer.
    """
    if isinstance(folder, CircuitFolder):
        return worker.witness(store.circuit(folder.model_id).circuit, inputs)
    store.prepare(folder.model_id)
    return graph.infer(worker, folder, inputs, seed)
