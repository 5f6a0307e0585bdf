"""A user's ONNX file: checked, described and run in child processes."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from foretell_relayer.models.errors import BadModel
from foretell_relayer.models.samples import Array
from foretell_relayer.prove.errors import ChildCrashed, EzklRefused
from foretell_relayer.prove.limits import GIB, Limits
from foretell_relayer.prove.sandbox import run
from foretell_spec.tensor import MAX_INPUTS, MAX_OUTPUTS

LIMITS: Final = Limits(seconds=300, memory=8 * GIB, file=1 * GIB)


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


def inspect(path: Path) -> OnnxModel:
    """Check an ONNX file.

    Raises:
        BadModel: it cannot be used; the message says why and what to do.
    """
    if not path.is_file():
        raise BadModel(f"{path}: no such file")
    arguments = {"path": str(path.resolve()), "max_inputs": MAX_INPUTS, "max_outputs": MAX_OUTPUTS}
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
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        file = Path(scratch) / "samples.npy"
        np.save(file, samples, allow_pickle=False)
        arguments = {
            "path": str(model.path),
            "samples": str(file),
            "input_name": model.input_name,
            "input_type": model.input_type,
            "input_shape": list(model.input_shape),
        }
        rows: Sequence[Sequence[float]] = _run("onnx.run", arguments, model.path)
    outputs = np.array(rows, dtype=np.float64)
    if outputs.shape != (len(samples), model.output_size):
        raise BadModel(
            f"{model.path.name}: it gives {outputs.shape[-1]} numbers, though it declares {model.output_size}"
        )
    return outputs


def _run(task: str, arguments: dict[str, Any], path: Path) -> Any:
    try:
        return run(task, arguments, LIMITS).value
    except EzklRefused as error:
        raise BadModel(f"{path.name}: {error.message.removeprefix(f'{task}: ')}") from None
    except ChildCrashed as error:
        raise BadModel(f"{path.name}: it crashes the ONNX library ({error.message})") from None
