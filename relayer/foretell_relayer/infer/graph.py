"""Answers of models that ONNX Runtime runs itself: the classes INTEGER, FLOAT, SEEDED and OPEN."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import folder as folders
from foretell_relayer.models import onnx_file
from foretell_relayer.models.documents import Runtime, RuntimeMetadata
from foretell_relayer.models.errors import BadFolder, BadModel, WrongRuntime
from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.samples import to_wad
from foretell_relayer.prove.errors import EzklRefused
from foretell_spec import sampling
from foretell_spec.divergence import DeterminismClass
from foretell_spec.sampling import Logits
from foretell_spec.tensor import Tensor, quantise

_KEPT_STEPS: Final = 256


def admit(folder: ModelFolder) -> None:
    """Check, once before the first answer, that this process gives the folder's one correct output.

    Raises:
        WrongRuntime: another runtime defines it.
        BadModel: its graph is none of its class; of INTEGER, not integer-only.
        BadFolder: its graph has other sizes than its manifest.
    """
    if isinstance(folder.metadata, RuntimeMetadata):
        _require_runtime(folder.name, folder.metadata.runtime)
    manifest = folder.manifest
    model = onnx_file.inspect(folder.path / folders.MODEL, manifest.determinism)
    # A SEEDED graph gives a logit for each token; its manifest counts the tokens that are sampled.
    seeded = manifest.determinism is DeterminismClass.SEEDED
    found = (model.input_size, manifest.output_size if seeded else model.output_size)
    if found != (manifest.input_size, manifest.output_size):
        raise BadFolder(f"{folder.path}: its graph has {found} inputs and outputs, its manifest others")
    if seeded and not 0 <= manifest.input_min <= manifest.input_max < model.output_size:
        raise BadFolder(f"{folder.path}: its domain is not within its {model.output_size} tokens")


def _require_runtime(name: str, pinned: Runtime) -> None:
    here = Runtime.here()
    differing = [field for field in Runtime.model_fields if getattr(pinned, field) != getattr(here, field)]
    if differing:
        told = ", ".join(f"{each} {getattr(pinned, each)} (here {getattr(here, each)})" for each in differing)
        raise WrongRuntime(f"{name}: its outputs are those of another runtime: {told}")


def infer(worker: InferenceWorker, folder: ModelFolder, inputs: Tensor, seed: bytes) -> Tensor:
    """The model's output for quantised inputs, quantised.

    Raises:
        BadModel: the graph cannot be run on them, or gives something that is not a finite number.
        TensorError: an output is out of the range of quantised integers.
    """
    manifest = folder.manifest
    if manifest.determinism is DeterminismClass.SEEDED:
        return sampling.decode(seed, inputs, manifest.output_size, logits(worker, folder))
    if manifest.determinism is DeterminismClass.INTEGER:
        return tuple(int(value) for value in _run(worker, folder, inputs))
    values = _run(worker, folder, [q / 2**manifest.input_scale for q in inputs])
    return quantise((to_wad(value) for value in values), manifest.output_scale)


def logits(worker: InferenceWorker, folder: ModelFolder) -> Logits:
    """The logits (WAD) of a SEEDED model, by context; each context is run once."""

    @lru_cache(maxsize=_KEPT_STEPS)
    def run(context: Tensor) -> tuple[int, ...]:
        return tuple(to_wad(value) for value in _run(worker, folder, context))

    return run


def _run(worker: InferenceWorker, folder: ModelFolder, values: Sequence[float]) -> Sequence[float]:
    try:
        return worker.run(folder.path / folders.MODEL, folder.metadata.onnx_hash, values)
    except EzklRefused as error:
        raise BadModel(f"{folder.name}: {error.message.removeprefix('onnx.answer: ')}") from None
