"""A user's ONNX file: checked, described and run in child processes."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from foretell_relayer.models import profile
from foretell_relayer.models.errors import BadModel
from foretell_relayer.models.samples import Array
from foretell_relayer.prove.errors import ChildCrashed, EzklRefused
from foretell_relayer.prove.limits import GIB, Limits
from foretell_relayer.prove.sandbox import run
from foretell_spec.divergence import DeterminismClass
from foretell_spec.tensor import MAX_INPUTS, MAX_OUTPUTS, Tensor

LIMITS: Final = Limits(seconds=300, memory=8 * GIB, file=1 * GIB)
MAX_VOCABULARY: Final = 1 << 16
"""Most tokens among which a SEEDED model chooses: its graph gives a logit for each."""

_INTEGER, _FLOAT = "integer", "float"
_KINDS: Final = {
    DeterminismClass.INTEGER: (_INTEGER, _INTEGER),
    DeterminismClass.SEEDED: (_INTEGER, _FLOAT),
}
"""What a graph takes and gives; floats in every other class."""


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """What a checked model looks like from outside. The first axis of its shapes is the batch and is 1."""

    path: Path
    input_name: str
    input_type: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    operators: tuple[str, ...]
    parameters: int

    @property
    def input_size(self) -> int:
        """Numbers that the model takes."""
        return math.prod(self.input_shape)

    @property
    def output_size(self) -> int:
        """Numbers that the model gives."""
        return math.prod(self.output_shape)


def inspect(path: Path, determinism: DeterminismClass = DeterminismClass.CIRCUIT) -> OnnxModel:
    """Check an ONNX file for a class.

    Raises:
        BadModel: it cannot be used; the message says why and what to do.
    """
    if not path.is_file():
        raise BadModel(f"{path}: no such file")
    takes, gives = _KINDS.get(determinism, (_FLOAT, _FLOAT))
    seeded = determinism is DeterminismClass.SEEDED
    arguments = {
        "path": str(path.resolve()),
        "max_inputs": MAX_INPUTS,
        "max_outputs": MAX_VOCABULARY if seeded else MAX_OUTPUTS,
        "takes": takes,
        "gives": gives,
        "one_output": determinism is not DeterminismClass.OPEN,
    }
    value = _run("onnx.inspect", arguments, path)
    return OnnxModel(
        path=path.resolve(),
        input_name=value["input_name"],
        input_type=value["input_type"],
        input_shape=tuple(value["input_shape"]),
        output_shape=tuple(value["output_shape"]),
        operators=tuple(value["operators"]),
        parameters=value["parameters"],
    )


def reference(model: OnnxModel, samples: Array) -> Array:
    """ONNX Runtime's outputs, ``[n, output_size]``, for samples ``[n, input_size]``.

    Raises:
        BadModel: the model cannot be run, or gives something that is not a finite number.
    """
    return _floats(model, samples, [profile.OPTIMISATION])[0]


def spread(model: OnnxModel, samples: Array) -> float:
    """The largest difference between ONNX Runtime's outputs with and without optimisation.

    Raises:
        BadModel: as ``reference``.
    """
    one, other = _floats(model, samples, [profile.OPTIMISATION, profile.NO_OPTIMISATION])
    return float(np.abs(one - other).max())


def outputs(model: OnnxModel, samples: Any, way: str) -> Array:
    """Outputs by one way of ``profile``, ``[n, output_size]``; integers of an integer graph stay exact up to
    53 bits.

    Raises:
        BadModel: as ``reference``.
    """
    return np.array(_batch(model, samples, [way])[0], dtype=np.float64)


def require_exact(model: OnnxModel, inputs: Sequence[Tensor]) -> None:
    """Run an integer-only graph by ONNX Runtime, with and without optimisation, and by ONNX's reference
    implementation: all must give the same integers.

    Raises:
        BadModel: it cannot be run, or they differ.
    """
    try:
        rows = np.array(inputs, dtype=np.int64)
    except OverflowError:
        raise BadModel(f"{model.path.name}: an input of its domain does not fit into 64 bits") from None
    found = _batch(model, rows, [profile.OPTIMISATION, profile.NO_OPTIMISATION, profile.REFERENCE])
    if any(each != found[0] for each in found):
        raise BadModel(
            f"{model.path.name}: ONNX Runtime and ONNX's reference implementation give different integers "
            "on inputs of the domain; most likely a value overflows its type"
        )


def _floats(model: OnnxModel, samples: Array, ways: list[str]) -> list[Array]:
    found = [np.array(rows, dtype=np.float64) for rows in _batch(model, samples, ways)]
    given, declared = found[0].shape, model.output_size
    if given != (len(samples), declared):
        raise BadModel(f"{model.path.name}: it gives {given[-1]} numbers, though it declares {declared}")
    return found


def _batch(model: OnnxModel, samples: Any, ways: list[str]) -> Sequence[Sequence[Sequence[Any]]]:
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        file = Path(scratch) / "samples.npy"
        np.save(file, samples, allow_pickle=False)
        arguments = {"path": str(model.path), "samples": str(file), "ways": ways}
        found: Sequence[Sequence[Sequence[Any]]] = _run("onnx.run", arguments, model.path)
    return found


def _run(task: str, arguments: dict[str, Any], path: Path) -> Any:
    try:
        return run(task, arguments, LIMITS).value
    except EzklRefused as error:
        raise BadModel(f"{path.name}: {error.message.removeprefix(f'{task}: ')}") from None
    except ChildCrashed as error:
        raise BadModel(f"{path.name}: it crashes the ONNX library ({error.message})") from None
