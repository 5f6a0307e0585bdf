"""Does a model folder work here? The same comparisons as when it was added, on its own samples."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from foretell_relayer.infer.client import WitnessWorker
from foretell_relayer.models import folder as folders
from foretell_relayer.models import onnx_file, samples, search
from foretell_relayer.models.errors import Inaccurate
from foretell_relayer.models.search import Step
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.prove import circuit
from foretell_spec.tensor import WAD


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found; ``proving_seconds`` is ``None`` where no proof was asked for."""

    name: str
    samples: int
    error: float
    tolerance: float
    proving_seconds: float | None


def check_folder(path: Path, step: Step, *, prove: bool) -> Checked:
    """Check the folder at ``path`` with keys made afresh.

    Raises:
        ModelError: it is damaged, or its circuit does not keep to the tolerance.
        ProveError: EZKL failed.
    """
    step("checking hashes")
    folder = folders.load(path)
    model = onnx_file.inspect(folder.path / folders.MODEL)
    rows = folder.samples()
    expected = onnx_file.reference(model, rows)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        step("setting the circuit up")
        files = CircuitCache(Path(scratch)).files(folder)
        step(f"running {len(rows)} samples")
        inputs = [folder.manifest.admit(q) for q in samples.quantise_rows(rows, folder.manifest.input_scale)]
        with WitnessWorker() as worker:
            outputs = [worker.witness(files.circuit, q) for q in inputs]
        error = search.error(outputs, folder.manifest.output_scale, expected)
        tolerance = folder.manifest.tolerance / WAD
        if error > tolerance:
            raise Inaccurate(
                f"circuit and ONNX Runtime differ by {error:.3g}, over the tolerance of {tolerance:g}"
            )
        seconds = None
        if prove:
            step("proving one sample")
            seconds = circuit.prove(files, inputs[0]).seconds
    return Checked(folder.name, len(rows), error, tolerance, seconds)
