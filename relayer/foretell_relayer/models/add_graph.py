"""From a user's ONNX file to the folder of a model that ONNX Runtime runs itself, without a circuit.

What is tried before anything is written depends on the class: an INTEGER graph must be integer-only, and
three ways to run it must give the same bits; the values of FLOAT and SEEDED graphs must keep to the tolerance
when ONNX Runtime takes other paths through its kernels, as it would on another processor.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import folder as folders
from foretell_relayer.models import onnx_file, samples
from foretell_relayer.models.documents import METADATA, Metadata, Runtime, RuntimeMetadata
from foretell_relayer.models.errors import Inaccurate
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.onnx_file import OnnxModel
from foretell_relayer.models.samples import MAX_SAMPLES, Array
from foretell_relayer.models.search import Step
from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import Manifest, metadata_hash
from foretell_spec.tensor import MAX_SCALE, WAD, Tensor

TOLERANCES: Final = {DeterminismClass.FLOAT: 1e-4, DeterminismClass.SEEDED: 1e-3}
"""Default tolerance, for the classes that have one."""

_FLOATS: Final = frozenset({DeterminismClass.FLOAT, DeterminismClass.OPEN})


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """What the publisher decides.

    ``tolerance`` is absolute, in the output's units (of logits for ``SEEDED``), by default that of the class;
    scales are in bits, by default 18 for floats and 0 for integers; ``tokens`` is how many a ``SEEDED`` model
    samples; ``domain`` bounds each input element, by default from the samples (of ``SEEDED``, all tokens);
    windows are in seconds.
    """

    name: str
    determinism: DeterminismClass
    tolerance: float | None = None
    input_scale: int | None = None
    output_scale: int | None = None
    tokens: int = 1
    publisher: ChecksumAddress = ZERO_ADDRESS
    domain: tuple[float, float] | None = None
    challenge_window: int = 3600
    proof_window: int = 86400


@dataclass(frozen=True, slots=True)
class GraphFigures:
    """What was measured. ``spread`` is the largest difference between ONNX Runtime with and without
    optimisation; ``seconds`` is the time of one answer."""

    samples: int
    parameters: int
    operators: tuple[str, ...]
    spread: float
    seconds: float


@dataclass(frozen=True, slots=True)
class AddedGraph:
    """A new model folder, and what was measured on the way."""

    folder: ModelFolder
    figures: GraphFigures


def add_graph(
    model_file: Path,
    sample_file: Path,
    out: Path,
    options: GraphOptions,
    step: Step,
    *,
    overwrite: bool = False,
) -> AddedGraph:
    """Make the folder ``out`` of an ONNX file and samples of its input.

    Raises:
        ModelError: the model or its samples cannot be used, or are not of the class; nothing was written.
    """
    folders.require_free(out, replace=overwrite)
    step("checking the model and the samples")
    model = onnx_file.inspect(model_file, options.determinism)
    rows = samples.load(sample_file, model.input_name, model.input_shape)
    rows = rows[samples.evenly(len(rows), MAX_SAMPLES)]
    domain = _domain(model, rows, options)
    folder = _describe(model, domain, options)
    step(f"running {len(rows)} samples and the corners of the domain, in more than one way")
    points = np.concatenate([rows, samples.corners(domain, rows.shape[1])])
    spread = compare(folder, model, samples.quantise_rows(points, folder.manifest.input_scale))
    step("writing the folder")
    written = folders.write(out, folder, {folders.MODEL: model.path}, rows, replace=overwrite)
    first = samples.quantise_rows(rows[:1], folder.manifest.input_scale)[0]
    seconds = _seconds(written, first)
    figures = GraphFigures(len(rows), model.parameters, model.operators, spread, seconds)
    return AddedGraph(written, figures)


def compare(folder: ModelFolder, model: OnnxModel, inputs: list[Tensor]) -> float:
    """Run inputs in more than one way, and return the largest difference: 0 of integers.

    Raises:
        BadModel: the graph cannot be run on one of them, or gives different integers.
        Inaccurate: the difference does not keep to the manifest's tolerance.
    """
    manifest = folder.manifest
    if manifest.determinism is DeterminismClass.INTEGER:
        onnx_file.require_exact(model, inputs)
        return 0.0
    spread = onnx_file.spread(model, np.array([[q / 2**manifest.input_scale for q in row] for row in inputs]))
    _require_within(manifest, spread)
    return spread


def _require_within(manifest: Manifest, spread: float) -> None:
    needed = needed_tolerance(manifest, spread)
    if needed > manifest.tolerance / WAD:
        raise Inaccurate(
            f"with and without optimisation ONNX Runtime's values differ by {spread:.3g}, so honest "
            f"operators would contradict each other; give a --tolerance of at least {needed:.3g}"
        )


def needed_tolerance(manifest: Manifest, spread: float) -> float:
    """The least tolerance with which honest operators, whose values differ by ``spread``, agree; 0 of a class
    without one.
    """
    if manifest.determinism is DeterminismClass.FLOAT:
        return spread + 2.0**-manifest.output_scale  # two equal values may be quantised to neighbours
    if manifest.determinism is DeterminismClass.SEEDED:
        return 2 * spread  # one score may rise while another falls
    return 0.0


def _domain(model: OnnxModel, rows: Array, options: GraphOptions) -> tuple[float, float]:
    if options.determinism is DeterminismClass.SEEDED:
        return samples.domain(rows, (0.0, model.output_size - 1.0))
    return samples.domain(rows, options.domain)


def _describe(model: OnnxModel, domain: tuple[float, float], options: GraphOptions) -> ModelFolder:
    determinism = options.determinism
    metadata = _metadata(model, options)
    default = MAX_SCALE if determinism in _FLOATS else 0
    input_scale = default if options.input_scale is None else options.input_scale
    output_scale = default if options.output_scale is None else options.output_scale
    ((low,), (high,)) = samples.quantise_rows(np.array([[bound] for bound in domain]), input_scale)
    tolerance = TOLERANCES.get(determinism, 0.0) if options.tolerance is None else options.tolerance
    manifest = Manifest(
        determinism=determinism,
        publisher=options.publisher,
        metadata_hash=metadata_hash(metadata.to_json()),
        input_size=model.input_size,
        output_size=options.tokens if determinism is DeterminismClass.SEEDED else model.output_size,
        input_scale=input_scale,
        output_scale=output_scale,
        input_min=low,
        input_max=high,
        tolerance=samples.to_wad(tolerance),
        challenge_window=options.challenge_window,
        proof_window=options.proof_window,
    )
    return ModelFolder(Path(), manifest, metadata)


def _metadata(model: OnnxModel, options: GraphOptions) -> Metadata:
    common: dict[str, Any] = {
        "name": options.name,
        "onnx_hash": keccak(model.path.read_bytes()),
        "input_shape": list(model.input_shape),
        "output_shape": list(model.output_shape),
    }
    if METADATA[options.determinism] is RuntimeMetadata:
        return RuntimeMetadata(**common, runtime=Runtime.here())
    return Metadata(**common)


def _seconds(folder: ModelFolder, inputs: Tensor) -> float:
    with InferenceWorker() as worker:
        graph.infer(worker, folder, inputs, bytes(32))  # starts the process and loads the graph
        begin = time.monotonic()
        graph.infer(worker, folder, inputs, bytes(32))
        return time.monotonic() - begin
