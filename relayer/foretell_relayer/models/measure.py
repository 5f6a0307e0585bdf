"""How far apart this machine's own answers are when a model is run in other ways: an operator's part in the
choice of a tolerance, which must be wider than what honest operators differ by.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import folder as folders
from foretell_relayer.models import onnx_file, profile, samples
from foretell_relayer.models.add_graph import needed_tolerance
from foretell_relayer.models.errors import BadModel
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.models.onnx_file import OnnxModel
from foretell_relayer.models.samples import Array
from foretell_relayer.models.search import Step
from foretell_relayer.models.store import CircuitCache
from foretell_spec.divergence import DeterminismClass
from foretell_spec.tensor import WAD, Tensor

CIRCUIT: Final = "circuit"
MARGIN: Final = 2.0
"""What was not measured (other processors, other inputs) gets as much room as what was."""

_STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Spread:
    """How a way to run the model differs from the pinned one; absolute, in units of the output. ``why`` says
    why a way did not work here.
    """

    way: str
    largest: float = 0.0
    p99: float = 0.0
    differing: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found: ``apart`` is the largest difference between any two ways, ``suggested`` the tolerance
    that leaves ``MARGIN`` (0 for a class that has none), ``declared`` the manifest's.
    """

    name: str
    samples: int
    spreads: Sequence[Spread]
    apart: float
    suggested: float
    declared: float


def measure(path: Path, step: Step, cache: CircuitCache | None = None) -> Measured:
    """Run a folder's samples and its domain's corners in every way.

    Raises:
        ModelError: the model cannot be run here at all.
        ProveError: EZKL could not answer.
    """
    step("checking hashes")
    folder = folders.load(path)
    manifest = folder.manifest
    model = onnx_file.inspect(folder.path / folders.MODEL, manifest.determinism)
    inputs = _inputs(folder)
    rows = _rows(manifest.determinism, inputs, manifest.input_scale)
    step(f"running {len(inputs)} inputs as the manifest says")
    pinned = onnx_file.outputs(model, rows, profile.OPTIMISATION)
    spreads, found = [], [pinned]
    for way in profile.OTHERS:
        step(f"running them again: {way}")
        other = _try(model, rows, way)
        if isinstance(other, str):
            spreads.append(Spread(way, why=other))
            continue
        found.append(other)
        spreads.append(_spread(way, pinned, other))
    apart = float((np.max(found, axis=0) - np.min(found, axis=0)).max())
    if isinstance(folder, CircuitFolder):
        step("running the circuit")
        circuit = _circuit(folder, inputs, cache or CircuitCache())
        spreads.append(_spread(CIRCUIT, pinned, circuit))
        needed = spreads[-1].largest
    else:
        needed = needed_tolerance(manifest, apart)
    return Measured(folder.name, len(inputs), spreads, apart, suggest(needed), manifest.tolerance / WAD)


def suggest(needed: float) -> float:
    """A round tolerance (1, 2 or 5 times a power of ten) of at least ``MARGIN`` times what is needed."""
    if needed <= 0:
        return 0.0
    wanted = MARGIN * needed
    unit = 10.0 ** math.floor(math.log10(wanted))
    return next(float(f"{step * unit:.0e}") for step in _STEPS if step * unit >= wanted * (1 - 1e-9))


def _inputs(folder: ModelFolder) -> list[Tensor]:
    manifest = folder.manifest
    rows = folder.samples()
    bounds = (manifest.input_min / 2**manifest.input_scale, manifest.input_max / 2**manifest.input_scale)
    points = samples.corners(bounds, manifest.input_size)
    if manifest.determinism in (DeterminismClass.INTEGER, DeterminismClass.SEEDED):
        points = np.round(points * 2**manifest.input_scale) / 2**manifest.input_scale
    quantised = samples.quantise_rows(np.concatenate([rows, points]), manifest.input_scale)
    return [manifest.admit(each) for each in quantised]


def _rows(determinism: DeterminismClass, inputs: Sequence[Tensor], scale: int) -> Array:
    whole = determinism in (DeterminismClass.INTEGER, DeterminismClass.SEEDED)
    return np.array([[q if whole else q / 2**scale for q in row] for row in inputs])


def _try(model: OnnxModel, rows: Array, way: str) -> Array | str:
    try:
        return onnx_file.outputs(model, rows, way)
    except BadModel as error:
        return error.message


def _circuit(folder: CircuitFolder, inputs: Sequence[Tensor], cache: CircuitCache) -> Array:
    files = cache.files(folder)
    with InferenceWorker() as worker:
        outputs = [worker.witness(files.circuit, each) for each in inputs]
    return np.array([[q / 2**folder.manifest.output_scale for q in row] for row in outputs])


def _spread(way: str, pinned: Array, other: Array) -> Spread:
    distances = np.abs(other - pinned)
    return Spread(
        way,
        largest=float(distances.max()),
        p99=float(np.quantile(distances, 0.99)),
        differing=float((distances > 0).mean()),
    )
