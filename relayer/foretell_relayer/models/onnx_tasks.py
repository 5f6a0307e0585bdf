"""ONNX files as tasks for the child process of ``foretell_relayer.prove``: nothing else parses or runs one.

Each task takes and returns JSON values. Messages are for whoever made the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

MAX_FILE_BYTES: Final = 256 << 20
FLOATS: Final = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}


class Refused(Exception):
    """The file is no model that can be used; ``kind`` tells the parent so."""

    kind: Final = "refused"


def inspect(path: str, max_inputs: int, max_outputs: int) -> dict[str, Any]:
    """Check a model file, and describe its one input and one output."""
    model = _load(Path(path))
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    name, kind, input_shape = _only(inputs, "input", max_inputs)
    _, _, output_shape = _only(list(model.graph.output), "output", max_outputs)
    _check_weights(model)
    _session(path)
    return {
        "input_name": name,
        "input_type": kind,
        "input_shape": input_shape,
        "output_shape": output_shape,
        "operators": sorted({node.op_type for node in model.graph.node}),
        "parameters": sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
    }


def run(
    path: str, samples: str, input_name: str, input_type: str, input_shape: list[int]
) -> list[list[float]]:
    """ONNX Runtime's output, one sample at a time: batches may take other paths through its kernels."""
    session = _session(path)
    rows = np.load(samples, allow_pickle=False).astype(input_type)
    outputs = []
    for row in rows:
        (output,) = session.run(None, {input_name: row.reshape(input_shape)})
        values = np.asarray(output, dtype=np.float64).ravel()
        if not np.isfinite(values).all():
            raise Refused("the model gives NaN or infinity on a sample")
        outputs.append(values.tolist())
    return outputs


def _load(path: Path) -> Any:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Refused(
            f"the file has {size >> 20} MiB; at most {MAX_FILE_BYTES >> 20} can be turned into a circuit"
        )
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # noqa: BLE001  protobuf and onnx raise many kinds
        raise Refused(f"not an ONNX file, or a truncated one ({_first_line(error)})") from None
    if not model.graph.node:
        raise Refused("not an ONNX file, or a truncated one (it has no nodes)")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise Refused(
            "its weights are in another file; save it with its weights inside (save_as_external_data=False)"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise Refused(f"not a valid ONNX model: {_first_line(error)}") from None
    return model


def _only(values: list[Any], what: str, limit: int) -> tuple[str, str, list[int]]:
    if len(values) != 1:
        raise Refused(f"it has {len(values)} {what}s; exactly one is supported")
    tensor = values[0].type.tensor_type
    if tensor.elem_type not in FLOATS:
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise Refused(f"its {what} is {kind}; only float32 and float64 are supported")
    shape = [int(d.dim_value) if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
    if not shape or min(shape) < 1:
        raise Refused(f"its {what} has no fixed shape; export it with a batch of 1, without dynamic axes")
    if len(shape) > 1 and shape[0] != 1:
        raise Refused(f"its {what} has shape {shape}; the first axis is the batch and must be 1")
    size = int(np.prod(shape))
    if size > limit:
        raise Refused(f"its {what} has {size} numbers; at most {limit} fit into a request")
    return values[0].name, FLOATS[tensor.elem_type], shape


def _check_weights(model: Any) -> None:
    for tensor in _tensors(model.graph):
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Refused(f"the weights {tensor.name or '(unnamed)'!r} contain NaN or infinity")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == onnx.AttributeProto.GRAPH:
                yield from _tensors(attribute.g)


def _session(path: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  ONNX Runtime has no common class
        raise Refused(f"ONNX Runtime cannot load it: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
