"""Which graphs are integer-only, and what the others are told."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from foretell_relayer.models import onnx_file
from foretell_relayer.models.errors import BadModel
from foretell_relayer.models.integer_only import complaint
from foretell_spec.divergence import DeterminismClass
from tests.kit import models

INT64 = TensorProto.INT64
INTEGER = DeterminismClass.INTEGER
NODE = helper.make_node


def graph(*nodes, constants=None, inputs=("x", INT64, [1, 2]), output=("y", INT64, [1, 2])):
    made = helper.make_graph(
        list(nodes), "graph",
        [helper.make_tensor_value_info(*inputs)], [helper.make_tensor_value_info(*output)],
        [numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_complaint__fixed_point_network__has_none(tmp_path):
    assert complaint(onnx.load(str(models.fixed_point(tmp_path / "fixed.onnx")))) is None


def constant(value):
    return NODE("Constant", [], ["c"], value=numpy_helper.from_array(np.array(value)))


@pytest.mark.parametrize("value", [1, 7, [2, 4]])
def test_complaint__division_by_a_constant__has_none(value):
    assert complaint(graph(NODE("Div", ["x", "c"], ["y"]), constants={"c": value})) is None
    assert complaint(graph(constant(value), NODE("Mod", ["x", "c"], ["y"]))) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (graph(NODE("Sigmoid", ["x"], ["y"])), "operator Sigmoid is not admitted"),
        (graph(NODE("RandomUniformLike", ["x"], ["y"])), "operator RandomUniformLike is not admitted"),
        (graph(NODE("Add", ["x", "x"], ["y"], domain="com.microsoft")), "operator Add is not admitted"),
        (
            graph(NODE("MatMulInteger", ["x", "w"], ["y"]), constants={"w": np.ones((2, 2), np.int8)}),
            "operator MatMulInteger is not admitted",
        ),
        (
            graph(
                NODE("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
                NODE("Add", ["f", "f"], ["g"]),
                NODE("Cast", ["g"], ["y"], to=INT64),
            ),
            "'f' is FLOAT; in an integer-only graph every value is an integer",
        ),
        (
            graph(NODE("Cast", ["c"], ["k"], to=INT64), NODE("Add", ["x", "k"], ["y"]), constants={"c": 0.5}),
            "'c' is DOUBLE",
        ),
        (graph(NODE("Div", ["x", "x"], ["y"])), "Div by 'x': a divisor must be a constant above zero"),
        (graph(NODE("Div", ["x", "c"], ["y"]), constants={"c": 0}), "a divisor must be a constant above"),
        (graph(NODE("Div", ["x", "c"], ["y"]), constants={"c": [3, -1]}), "a divisor must be a constant"),
        (graph(constant(0), NODE("Mod", ["x", "c"], ["y"])), "Mod by 'c': a divisor must be a constant"),
        (
            graph(NODE("Add", ["x", "c"], ["y"]), constants={"c": np.array([1], np.int32)}),
            "its types cannot be told",
        ),
    ],
)
def test_complaint__graph_that_is_not__says_why(model, message):
    assert message in (complaint(model) or "")


def test_inspect__float_model_as_integer__is_refused(tiny_onnx):
    with pytest.raises(BadModel, match="its input is FLOAT; only integers are supported"):
        onnx_file.inspect(tiny_onnx, INTEGER)


def test_inspect__floats_inside__are_refused(tmp_path):
    nodes = (
        NODE("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        NODE("Cast", ["f"], ["y"], to=INT64),
    )
    onnx.save(graph(*nodes), str(tmp_path / "hidden.onnx"))
    with pytest.raises(BadModel, match="no integer-only graph: 'f' is FLOAT"):
        onnx_file.inspect(tmp_path / "hidden.onnx", INTEGER)


def test_require_exact__runtime_and_reference_differ__is_refused(tmp_path):
    # ONNX Runtime keeps a sum that overflows at the largest number, the reference implementation wraps it.
    kind = TensorProto.INT32
    summing = graph(NODE("ReduceSum", ["x"], ["y"]), inputs=("x", kind, [1, 2]), output=("y", kind, [1, 1]))
    onnx.save(summing, str(tmp_path / "sum.onnx"))
    model = onnx_file.inspect(tmp_path / "sum.onnx", INTEGER)

    onnx_file.require_exact(model, [(3, -4), (2**31 - 1, 0)])
    with pytest.raises(BadModel, match="give different integers on inputs of the domain"):
        onnx_file.require_exact(model, [(3, -4), (2**31 - 1, 5)])


def test_require_exact__input_over_64_bits__is_refused(tmp_path):
    onnx.save(graph(NODE("Abs", ["x"], ["y"])), str(tmp_path / "abs.onnx"))
    model = onnx_file.inspect(tmp_path / "abs.onnx", INTEGER)
    with pytest.raises(BadModel, match="does not fit into 64 bits"):
        onnx_file.require_exact(model, [(1 << 63, 0)])


def test_require_exact__input_over_the_graphs_type__is_refused(tmp_path):
    small = graph(
        NODE("Abs", ["x"], ["y"]),
        inputs=("x", TensorProto.INT8, [1, 2]),
        output=("y", TensorProto.INT8, [1, 2]),
    )
    onnx.save(small, str(tmp_path / "small.onnx"))
    model = onnx_file.inspect(tmp_path / "small.onnx", INTEGER)
    with pytest.raises(BadModel, match=r"over the range of tensor\(int8\)"):
        onnx_file.require_exact(model, [(128, 0)])
