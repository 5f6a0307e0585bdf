"""ONNX models small enough that a test can set their circuits up, and broken ones."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from foretell_relayer.models.add_graph import GraphOptions, add_graph
from foretell_relayer.models.folder import CircuitFolder, ModelFolder, load_circuit
from foretell_spec.divergence import DeterminismClass

ROOT = Path(__file__).resolve().parent.parent.parent
VOLATILITY = ROOT / "models" / "volatility"

WEIGHTS = np.array([[0.5, -1.25], [2.0, 0.75], [-0.5, 1.5]], dtype=np.float32)
BIAS = np.array([0.25, -0.5], dtype=np.float32)


def volatility() -> CircuitFolder:
    """The shipped model."""
    return load_circuit(VOLATILITY)


def tiny(path: Path, **changes: Any) -> Path:
    """``relu(x @ weights + bias)`` of three inputs and two outputs; ``changes`` spoil it."""
    given: dict[str, Any] = {
        "nodes": [
            helper.make_node("Gemm", ["x", "weights", "bias"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["y"]),
        ],
        "weights": WEIGHTS,
        "shape": [1, WEIGHTS.shape[0]],
        "out_shape": [1, WEIGHTS.shape[1]],
        "kind": TensorProto.FLOAT,
        "extra_inputs": [],
        "domain": "",
    }
    given |= changes
    inputs = [helper.make_tensor_value_info("x", given["kind"], given["shape"]), *given["extra_inputs"]]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, given["out_shape"])]
    constants = [numpy_helper.from_array(given["weights"], "weights"), numpy_helper.from_array(BIAS, "bias")]
    graph = helper.make_graph(given["nodes"], "tiny", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def layer(path: Path, operator: str, size: int = 3) -> Path:
    """One operator on ``size`` numbers."""
    shape = [1, size]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], operator, info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def samples(path: Path, shape: Sequence[int] = (20, 3), change: Callable[[Any], Any] | None = None) -> Path:
    """Samples between -2 and 2 under the name ``x``; ``change`` spoils them."""
    rows = np.random.Generator(np.random.PCG64(7)).uniform(-2, 2, shape)
    np.savez(path, x=change(rows) if change else rows)
    return path


def save(path: Path, nodes: list[Any], inputs: Any, output: Any, constants: dict[str, Any]) -> Path:
    """A graph of one input and one output, each (name, type, shape)."""
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*inputs)],
        [helper.make_tensor_value_info(*output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


FIXED_INPUT_SCALE, FIXED_OUTPUT_SCALE = 12, 18


def fixed_point(path: Path, shift: int = 1 << 12) -> Path:
    """The shipped volatility model in 64-bit fixed point: inputs of 12 bits, outputs of 18.

    ``shift`` is what the hidden layer is divided by; tests spoil it.
    """
    weights = {
        tensor.name: numpy_helper.to_array(tensor).astype(np.float64)
        for tensor in onnx.load(str(VOLATILITY / "model.onnx")).graph.initializer
    }
    bits = {"weight": 1 << 12, "bias": 1 << 24}
    constants = {
        name: np.rint(value.T * bits[name.split(".")[1]]).astype(np.int64) for name, value in weights.items()
    }
    constants |= {"zero": np.array(0, np.int64), "shift": np.array(shift, np.int64)}
    constants |= {"narrow": np.array(1 << 6, np.int64)}
    nodes = [
        helper.make_node("Max", ["returns", "zero"], ["positive"]),
        helper.make_node("Concat", ["positive", "returns"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "first.weight"], ["product"]),
        helper.make_node("Add", ["product", "first.bias"], ["sum"]),
        helper.make_node("Max", ["sum", "zero"], ["wide"]),
        helper.make_node("Div", ["wide", "shift"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second.weight"], ["last"]),
        helper.make_node("Add", ["last", "second.bias"], ["exact"]),
        helper.make_node("Div", ["exact", "narrow"], ["volatility"]),
    ]
    kind = TensorProto.INT64
    return save(path, nodes, ("returns", kind, [1, 22]), ("volatility", kind, [1, 1]), constants)


DOWN, FLAT, UP = range(3)
CONTEXT = 2


def moves() -> list[int]:
    """Daily moves of the S&P 500 as tokens: down or up by over 0.2 %, or flat."""
    rows = (ROOT / "scripts" / "demo" / "sp500_closes.csv").read_text().split()[1:]
    closes = [int(row.split(",")[1]) for row in rows]
    changes = [after / before - 1 for before, after in pairwise(closes)]
    return [UP if change > 0.002 else DOWN if change < -0.002 else FLAT for change in changes]


def next_move(path: Path) -> Path:
    """A model of tokens: how often a move followed the two before it, as logits."""
    counts = np.ones((3, 3, 3))
    found = moves()
    for first, second, third in zip(found, found[1:], found[2:], strict=False):
        counts[first, second, third] += 1
    logits = np.log(counts / counts.sum(axis=2, keepdims=True)).reshape(9, 3).astype(np.float32)
    constants = {"table": logits, "place": np.array([[3], [1]], np.int64), "row": np.array([1], np.int64)}
    nodes = [
        helper.make_node("MatMul", ["moves", "place"], ["index"]),
        helper.make_node("Reshape", ["index", "row"], ["flat"]),
        helper.make_node("Gather", ["table", "flat"], ["logits"], axis=0),
    ]
    inputs = ("moves", TensorProto.INT64, [1, CONTEXT])
    return save(path, nodes, inputs, ("logits", TensorProto.FLOAT, [1, 3]), constants)


def contexts(path: Path) -> Path:
    """Samples of ``next_move``: pairs of moves that followed each other."""
    found = moves()
    np.savez(path, moves=np.array([found[n : n + CONTEXT] for n in range(len(found) - CONTEXT)]))
    return path


def of_class(determinism: DeterminismClass, out: Path, **options: Any) -> ModelFolder:
    """A model folder of a class that has no circuit, made of a small real model."""
    chosen: dict[str, Any] = {"name": determinism.name.lower(), "determinism": determinism, **options}
    model, data = VOLATILITY / "model.onnx", VOLATILITY / "samples.npz"
    if determinism is DeterminismClass.INTEGER:
        model = fixed_point(out.parent / "fixed.onnx")
        scales = {"input_scale": FIXED_INPUT_SCALE, "output_scale": FIXED_OUTPUT_SCALE}
        chosen = {**scales, **chosen}
    if determinism is DeterminismClass.SEEDED:
        model, data = next_move(out.parent / "moves.onnx"), contexts(out.parent / "moves.npz")
        chosen = {"tokens": 8, **chosen}
    return add_graph(model, data, out, GraphOptions(**chosen), lambda _: None).folder
