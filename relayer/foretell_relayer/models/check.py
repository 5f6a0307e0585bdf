"""Does a model folder work here? The same comparisons as when it was added, on its own samples."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import folder as folders
from foretell_relayer.models import onnx_file, samples, search
from foretell_relayer.models.add_graph import compare
from foretell_relayer.models.errors import Inaccurate
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.search import Step
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.prove import circuit
from foretell_spec.tensor import WAD, Tensor


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found; ``proving_seconds`` is ``None`` where no proof was made."""

    name: str
    samples: int
    error: float
    tolerance: float
    proving_seconds: float | None


def check_folder(path: Path, step: Step, *, prove: bool, cache: CircuitCache | None = None) -> Checked:
    """Check the folder at ``path``; a circuit with a proof if ``prove``, and with keys made afresh unless
    they come from a ``cache``.

    Raises:
        ModelError: it is damaged, cannot be run here, or does not keep to its tolerance.
        ProveError: EZKL failed.
    """
    step("checking hashes")
    folder = folders.load(path)
    rows = folder.samples()
    inputs = [folder.manifest.admit(q) for q in samples.quantise_rows(rows, folder.manifest.input_scale)]
    if isinstance(folder, CircuitFolder):
        error, seconds = _check_circuit(folder, rows, inputs, step, prove=prove, cache=cache)
    else:
        error, seconds = _check_graph(folder, inputs, step), None
    return Checked(folder.name, len(inputs), error, folder.manifest.tolerance / WAD, seconds)


def _check_graph(folder: ModelFolder, inputs: list[Tensor], step: Step) -> float:
    step("checking the graph and the runtime")
    graph.admit(folder)
    step(f"running {len(inputs)} samples in more than one way")
    model = onnx_file.inspect(folder.path / folders.MODEL, folder.manifest.determinism)
    return compare(folder, model, inputs)


def _check_circuit(
    folder: CircuitFolder,
    rows: samples.Array,
    inputs: list[Tensor],
    step: Step,
    *,
    prove: bool,
    cache: CircuitCache | None,
) -> tuple[float, float | None]:
    expected = onnx_file.reference(onnx_file.inspect(folder.path / folders.MODEL), rows)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        step("setting the circuit up")
        files = (cache or CircuitCache(Path(scratch))).files(folder)
        step(f"running {len(rows)} samples")
        with InferenceWorker() as worker:
            outputs = [worker.witness(files.circuit, q) for q in inputs]
        error = search.error(outputs, folder.manifest.output_scale, expected)
        tolerance = folder.manifest.tolerance / WAD
        if error > tolerance:
            raise Inaccurate(
                f"circuit and ONNX Runtime differ by {error:.3g}, over the tolerance of {tolerance:g}"
            )
        if not prove:
            return error, None
        step("proving one sample")
        return error, circuit.prove(files, inputs[0]).seconds
