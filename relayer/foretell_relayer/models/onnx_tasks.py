"""ONNX files as tasks for the child processes of ``foretell_relayer``: nothing else parses or runs one.

Each task takes and returns JSON values. Messages are for whoever made the file.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from eth_hash.auto import keccak
from onnx import TensorProto, numpy_helper

from foretell_relayer.models import profile
from foretell_relayer.models.integer_only import INTEGERS, complaint

MAX_FILE_BYTES: Final = 256 << 20
FLOATS: Final = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}
_RUNTIME_TYPES: Final[dict[str, str]] = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({name})": name for name in INTEGERS.values()},
}
_LEVEL: Final[Any] = onnxruntime.GraphOptimizationLevel
_WAYS: Final[dict[str, tuple[Any, int]]] = {
    profile.OPTIMISATION: (_LEVEL.ORT_ENABLE_ALL, profile.THREADS),
    profile.NO_OPTIMISATION: (_LEVEL.ORT_DISABLE_ALL, profile.THREADS),
    profile.BASIC: (_LEVEL.ORT_ENABLE_BASIC, profile.THREADS),
    profile.EXTENDED: (_LEVEL.ORT_ENABLE_EXTENDED, profile.THREADS),
    profile.TWO_THREADS: (_LEVEL.ORT_ENABLE_ALL, 2),
    profile.FOUR_THREADS: (_LEVEL.ORT_ENABLE_ALL, 4),
}
"""Optimisation and threads of each way to run a model by ONNX Runtime."""

MAX_NODES: Final = 50_000
_RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
"""Operators whose output is another one each time."""

_STANDARD: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Domains of operators that the ONNX standard defines, so that there is something to compare with."""
_KEPT_SESSIONS: Final = 8

_sessions: OrderedDict[str, Any] = OrderedDict()


class Refused(Exception):
    """The file is no model that can be used; ``kind`` tells the parent so."""

    kind: Final = "refused"


def inspect(
    path: str, max_inputs: int, max_outputs: int, takes: str, gives: str, one_output: bool = True
) -> dict[str, Any]:
    """Check a model file, and describe its one input and one output.

    ``takes`` and ``gives`` are ``float`` or ``integer``; one that gives integers must be integer-only.
    ``one_output`` says that the same input must always give the same output.
    """
    model = _load(Path(path))
    _check_operators(model, one_output=one_output)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    name, kind, input_shape = _only(inputs, "input", max_inputs, takes)
    _, _, output_shape = _only(list(model.graph.output), "output", max_outputs, gives)
    _check_weights(model)
    trouble = complaint(model) if gives == "integer" else None
    if trouble:
        raise Refused(f"it is no integer-only graph: {trouble}")
    _session(path, profile.OPTIMISATION)
    return {
        "input_name": name,
        "input_type": kind,
        "input_shape": input_shape,
        "output_shape": output_shape,
        "operators": sorted({node.op_type for node in _nodes(model)}),
        "parameters": sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
    }


def run(path: str, samples: str, ways: list[str]) -> list[list[list[Any]]]:
    """Outputs by each way to run the model that ``profile`` names.

    One sample at a time: batches may take other paths through the kernels.
    """
    rows = np.load(samples, allow_pickle=False)
    feed = _session(path, profile.OPTIMISATION).get_inputs()[0]
    found = []
    for way in ways:
        session = _reference(path) if way == profile.REFERENCE else _session(path, way)
        found.append([_ask(session, feed, row) for row in rows])
    return found


def _reference(path: str) -> Any:
    from onnx.reference import ReferenceEvaluator  # a second to import, and most tasks need none

    return ReferenceEvaluator(path)


def answer(path: str, onnx_hash: str, values: list[Any]) -> list[Any]:
    """One output, from a session that stays. The file's bytes must have the hash, whoever wrote them last."""
    session = _sessions.get(onnx_hash)
    if session is None:
        data = Path(path).read_bytes()
        if keccak(data).hex() != onnx_hash:
            raise Refused("the file is not the one that the manifest vouches for; get the folder again")
        session = _sessions[onnx_hash] = _session(data, profile.OPTIMISATION)
        if len(_sessions) > _KEPT_SESSIONS:
            _sessions.popitem(last=False)
    return _ask(session, session.get_inputs()[0], np.array(values))


def _ask(session: Any, feed: Any, row: Any) -> list[Any]:
    return _values(session.run(None, {feed.name: _tensor(feed, row)})[0])


def _tensor(feed: Any, row: Any) -> Any:
    tensor = row.astype(_RUNTIME_TYPES[feed.type])
    if row.dtype.kind in "iu" and (tensor != row).any():
        raise Refused(f"an input is over the range of {feed.type}")
    return tensor.reshape(feed.shape)


def _values(output: Any) -> list[Any]:
    values = np.asarray(output).ravel()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused("the model gives NaN or infinity")
    result: list[Any] = values.tolist()
    return result


def _load(path: Path) -> Any:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Refused(f"the file has {size >> 20} MiB; at most {MAX_FILE_BYTES >> 20} are admitted")
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


def _only(values: list[Any], what: str, limit: int, kind: str) -> tuple[str, str, list[int]]:
    if len(values) != 1:
        raise Refused(f"it has {len(values)} {what}s; exactly one is supported")
    tensor = values[0].type.tensor_type
    kinds: Mapping[Any, str] = INTEGERS if kind == "integer" else FLOATS
    if tensor.elem_type not in kinds:
        found = TensorProto.DataType.Name(tensor.elem_type)
        wanted = "integers are" if kind == "integer" else "float32 and float64 are"
        raise Refused(f"its {what} is {found}; only {wanted} supported")
    shape = [int(d.dim_value) if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
    if not shape or min(shape) < 1:
        raise Refused(f"its {what} has no fixed shape; export it with a batch of 1, without dynamic axes")
    if len(shape) > 1 and shape[0] != 1:
        raise Refused(f"its {what} has shape {shape}; the first axis is the batch and must be 1")
    size = int(np.prod(shape))
    if size > limit:
        raise Refused(f"its {what} has {size} numbers; at most {limit} are admitted")
    return values[0].name, kinds[tensor.elem_type], shape


def _check_weights(model: Any) -> None:
    for tensor in _tensors(model.graph):
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Refused(f"the weights {tensor.name or '(unnamed)'!r} contain NaN or infinity")


def _check_operators(model: Any, *, one_output: bool) -> None:
    nodes = list(_nodes(model))
    if len(nodes) > MAX_NODES:
        raise Refused(f"it has {len(nodes)} operations; at most {MAX_NODES} are admitted")
    if not one_output:
        return
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in _STANDARD})
    own = {f"{each.domain}.{each.name}" for each in model.functions}
    if set(foreign) - own:
        raise Refused(
            f"it uses {', '.join(sorted(set(foreign) - own))}, which the ONNX standard does not define"
        )
    random = sorted({node.op_type for node in nodes} & _RANDOM)
    if random:
        raise Refused(f"it uses {', '.join(random)}: its output is another one each time")


def _nodes(model: Any) -> Iterator[Any]:
    """All operations, of branches, loops and functions, too."""
    waiting = [*model.graph.node, *(node for each in model.functions for node in each.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == onnx.AttributeProto.GRAPH:
                yield from _tensors(attribute.g)


def _session(model: str | bytes, way: str) -> Any:
    options = onnxruntime.SessionOptions()
    level, threads = _WAYS[way]
    options.intra_op_num_threads, options.inter_op_num_threads = threads, profile.THREADS
    options.graph_optimization_level = level
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=[profile.PROVIDER])
    except Exception as error:  # noqa: BLE001  ONNX Runtime has no common class
        raise Refused(f"ONNX Runtime cannot load it: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
