"""ONNX files: what is accepted, and what every unusable one is told."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from foretell_relayer.models import onnx_file
from foretell_relayer.models.errors import BadModel
from tests.kit import models


def test_inspect__good_model__is_described(tiny_onnx):
    model = onnx_file.inspect(tiny_onnx)

    assert (model.input_name, model.input_type) == ("x", "float32")
    assert (model.input_shape, model.output_shape) == ((1, 3), (1, 2))
    assert (model.input_size, model.output_size, model.parameters) == (3, 2, 8)
    assert model.operators == ("Gemm", "Relu")


def test_reference__good_model__is_the_formula(tiny_onnx):
    rows = np.array([[1.0, -0.5, 0.25], [2.0, 0.0, 0.0]])

    outputs = onnx_file.reference(onnx_file.inspect(tiny_onnx), rows)

    np.testing.assert_allclose(outputs, np.maximum(rows @ models.WEIGHTS + models.BIAS, 0))


def spoiled(value: float) -> np.ndarray:
    weights = models.WEIGHTS.copy()
    weights[1, 1] = value
    return weights


SECOND_INPUT = helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, 3])
NODES = [helper.make_node("Gemm", ["x", "weights", "bias"], ["sum"])]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": spoiled(float("nan"))}, "weights 'weights' contain NaN"),
        ({"weights": spoiled(float("inf"))}, "contain NaN or infinity"),
        ({"shape": ["batch", 3]}, "no fixed shape; export it with a batch of 1"),
        ({"shape": [2, 3], "out_shape": [2, 2]}, "first axis is the batch and must be 1"),
        ({"shape": [1, 300]}, "has 300 numbers; at most 256"),
        ({"shape": [1, 4]}, "ONNX Runtime cannot load it|not a valid ONNX model"),
        ({"kind": TensorProto.INT64}, "its input is INT64; only float32"),
        ({"extra_inputs": [SECOND_INPUT]}, "it has 2 inputs; exactly one"),
        ({"nodes": [*NODES, helper.make_node("NoSuchOperator", ["sum"], ["y"])]}, "NoSuchOperator"),
        ({"nodes": NODES}, "not a valid ONNX model|cannot load it"),
    ],
)
def test_inspect__unusable_model__says_why(tmp_path, changes, message):
    path = models.tiny(tmp_path / "bad.onnx", **changes)

    with pytest.raises(BadModel, match=message) as caught:
        onnx_file.inspect(path)

    assert str(caught.value).startswith("R-MOD-001: bad.onnx: ")


@pytest.mark.parametrize("keep", [0, 1, 30, 150, -1])
def test_inspect__truncated__is_refused(tmp_path, tiny_onnx, keep):
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_onnx.read_bytes()[:keep])

    with pytest.raises(BadModel, match=r"truncated|not a valid ONNX model"):
        onnx_file.inspect(path)


def test_inspect__no_onnx_at_all__is_refused(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("hello, this is no model " * 100)

    with pytest.raises(BadModel, match="not an ONNX file"):
        onnx_file.inspect(path)


def test_inspect__absent__is_refused(tmp_path):
    with pytest.raises(BadModel, match="no such file"):
        onnx_file.inspect(tmp_path / "absent.onnx")


def test_inspect__weights_elsewhere__are_not_read(tmp_path, tiny_onnx):
    model = onnx.load(str(tiny_onnx))
    onnx.save(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="w.bin", size_threshold=0)

    with pytest.raises(BadModel, match="weights are in another file"):
        onnx_file.inspect(tmp_path / "m.onnx")


def test_inspect__too_many_outputs__is_refused(tmp_path):
    with pytest.raises(BadModel, match="output has 65 numbers; at most 64"):
        onnx_file.inspect(models.layer(tmp_path / "wide.onnx", "Relu", 65))


def test_reference__nan_output__is_refused(tmp_path):
    model = onnx_file.inspect(models.layer(tmp_path / "log.onnx", "Log"))

    with pytest.raises(BadModel, match="gives NaN or infinity"):
        onnx_file.reference(model, np.array([[1.0, 0.0, -1.0]]))
