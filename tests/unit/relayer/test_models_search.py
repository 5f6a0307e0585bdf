"""The search for a circuit's parameters."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from foretell_relayer.models import onnx_file, samples, search
from foretell_relayer.models.errors import Inaccurate, NoCircuit
from foretell_relayer.models.search import Problem
from foretell_relayer.prove.circuit import RunArgs
from tests.kit import models


@pytest.fixture(scope="module")
def problem(tiny_onnx):
    def make(path=tiny_onnx, tolerance=0.05, span=2.0, max_logrows=17):
        rows = np.random.Generator(np.random.PCG64(3)).uniform(-span, span, (12, 3))
        expected = onnx_file.reference(onnx_file.inspect(path), rows)
        return Problem(path, rows, expected, (-1.25 * span, 1.25 * span), tolerance, max_logrows)

    return make


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def baseline(problem) -> RunArgs:
    return search.search(problem(), silent)


def test_search__tiny_model__is_tiny(baseline):
    found = baseline

    assert isinstance(found, RunArgs)
    assert found.logrows <= 9
    assert found.decomp_base**found.decomp_legs < 2**24
    assert found.input_scale == found.param_scale


def test_search__finer_tolerance__takes_more_bits(problem, baseline):
    fine = search.search(problem(tolerance=0.0005), silent)

    assert baseline.input_scale < fine.input_scale


def test_search__wider_domain__takes_more_digits_or_larger_ones(problem, baseline):
    wide = search.search(problem(span=1e6), silent)

    assert baseline.decomp_base**baseline.decomp_legs < wide.decomp_base**wide.decomp_legs


def test_search__again__same_choice(problem, baseline):
    assert baseline == search.search(problem(), silent)


def test_search__tolerance_out_of_reach__says_what_was_reached(problem):
    with pytest.raises(Inaccurate, match=r"R-MOD-003: .* tolerance of 1e-09 .* least error found is"):
        search.search(problem(tolerance=1e-9), silent)


def test_search__too_few_rows_allowed__is_refused(problem):
    with pytest.raises(
        NoCircuit, match=r"R-MOD-004: the circuit needs 2\*\*8 rows, over the limit of 2\*\*7"
    ):
        search.search(problem(max_logrows=7), silent)


def test_search__operator_that_ezkl_lacks__is_refused(tmp_path):
    unsupported = Problem(
        determinant(tmp_path / "det.onnx"), np.ones((2, 4)), np.ones((2, 1)), (0, 1), 0.1, 17
    )

    with pytest.raises(NoCircuit, match="EZKL cannot turn this model into a circuit"):
        search.search(unsupported, silent)


def determinant(path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "det", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_search__table_function__gets_a_range_that_holds_it(problem, tmp_path):
    sigmoid = models.layer(tmp_path / "sigmoid.onnx", "Sigmoid")

    found = search.search(problem(sigmoid, tolerance=0.02, span=4.0), silent)

    low, high = found.lookup_range
    assert low <= -5.0 * 2**found.input_scale < 5.0 * 2**found.input_scale <= high
    assert 2**found.logrows >= high - low


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [(5, 10, [0, 1, 2, 3, 4]), (10, 2, [0, 9]), (9, 3, [0, 4, 8]), (1, 5, [0])],
)
def test_evenly__spreads_over_the_whole(count, limit, expected):
    assert samples.evenly(count, limit).tolist() == expected


def test_error__largest_distance__of_all():
    assert search.error([(128, 64), (0, -64)], 7, np.array([[1.0, 0.5], [0.25, -0.5]])) == 0.25
