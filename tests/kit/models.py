"""ONNX models small enough that a test can set their circuits up, and broken ones."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from foretell_relayer.models.folder import ModelFolder, load

ROOT = Path(__file__).resolve().parent.parent.parent
VOLATILITY = ROOT / "models" / "volatility"

WEIGHTS = np.array([[0.5, -1.25], [2.0, 0.75], [-0.5, 1.5]], dtype=np.float32)
BIAS = np.array([0.25, -0.5], dtype=np.float32)


def volatility() -> ModelFolder:
    """The shipped model."""
    return load(VOLATILITY)


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
