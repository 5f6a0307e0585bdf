"""Is an ONNX graph integer-only, and does every operator in it give the same bits everywhere?

Runs in the child process that parses the file. An operator is admitted if its integer result is laid down by
the ONNX specification and depends on neither order nor width of intermediates. Quantised matrix products
(``MatMulInteger``, ``QLinear...``) are not: on processors without VNNI they saturate 16-bit intermediates.
What becomes of a value that overflows its type is not laid down: whoever makes a graph keeps values inside.
"""

from collections.abc import Iterator
from typing import Any, Final

import onnx
from onnx import TensorProto, numpy_helper

INTEGERS: Final = {
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
}
EXACT: Final = frozenset({
    "Abs", "Add", "Clip", "CumSum", "Div", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "ReduceMax",
    "ReduceMin", "ReduceSum", "Relu", "Sign", "Sub",
    "And", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Not", "Or", "Where", "Xor",
    "ArgMax", "ArgMin", "Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather",
    "GatherElements", "Identity", "Pad", "Reshape", "Shape", "Slice", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
})  # fmt: skip
_TYPES: Final = frozenset({*INTEGERS, TensorProto.BOOL})
_DIVISIONS: Final = frozenset({"Div", "Mod"})


def complaint(model: Any) -> str | None:
    """What keeps the graph out of class INTEGER, for whoever made it; ``None`` where nothing does."""
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in EXACT:
            return (
                f"operator {node.op_type} is not admitted: its result is not laid down bit for bit on "
                "integers; use operators such as MatMul on int64, Add, Mul, Div, Clip, Gather"
            )
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        return f"its types cannot be told: {str(error).strip().splitlines()[0]}"
    types = dict(_types(inferred.graph))
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            if name and types.get(name) not in _TYPES:
                kind = TensorProto.DataType.Name(types.get(name) or TensorProto.UNDEFINED)
                return f"{name!r} is {kind}; in an integer-only graph every value is an integer"
    return _undefined_division(model.graph)


def _types(graph: Any) -> Iterator[tuple[str, int]]:
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name, value.type.tensor_type.elem_type
    for tensor in graph.initializer:
        yield tensor.name, tensor.data_type


def _undefined_division(graph: Any) -> str | None:
    """Division by zero ends the process, and the least integer by -1 is undefined: only constants divide."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants.update((node.output[0], each.t) for each in node.attribute if each.name == "value")
    for node in graph.node:
        if node.op_type not in _DIVISIONS:
            continue
        divisor = constants.get(node.input[1])
        if divisor is None or not (numpy_helper.to_array(divisor) > 0).all():
            return f"{node.op_type} by {node.input[1]!r}: a divisor must be a constant above zero"
    return None
