"""lib/tensor against the shared vectors and against foretell_spec on random numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec.tensor import QUANTISED_LIMIT, WAD_LIMIT, dequantise, quantise, tensor_hash, to_felt
from tests.kit.chain import Contract, reverts
from tests.kit.vectors import cases, raw
from tests.kit.world import World

WADS = st.integers(-WAD_LIMIT + 1, WAD_LIMIT - 1)
QUANTISED = st.integers(-QUANTISED_LIMIT + 1, QUANTISED_LIMIT - 1)
SCALES = st.integers(0, 18)


@pytest.fixture(scope="module")
def tensor(deployed_world: World) -> Contract:
    return deployed_world.deploy("mocks/TensorHarness.vy")


@pytest.mark.parametrize("vector", cases("tensor", "quantise"))
def test_quantise__vector__gives_the_expected(tensor: Contract, vector: dict[str, Any]) -> None:
    assert tensor.quantise([int(vector["wad"])], vector["scale"]) == [int(vector["expected"])]


@pytest.mark.parametrize("vector", cases("tensor", "quantise_fail"))
def test_quantise__bad_vector__reverts(tensor: Contract, vector: dict[str, Any]) -> None:
    reason = "tensor: number out of range" if 0 <= vector["scale"] <= 18 else "tensor: scale over 18 bits"
    if vector["scale"] < 0:
        pytest.skip("a uint8 cannot be negative")
    with reverts(reason):
        tensor.quantise([int(vector["wad"])], vector["scale"])


@pytest.mark.parametrize("x", [WAD_LIMIT, -WAD_LIMIT])
def test_quantise__first_number_out_of_range__reverts(tensor: Contract, x: int) -> None:
    with reverts("tensor: number out of range"):
        tensor.quantise([0, x], 18)


@given(values=st.lists(WADS, max_size=256), scale=SCALES)
def test_quantise__any_numbers__equals_the_specification(
    tensor: Contract, values: list[int], scale: int
) -> None:
    assert tensor.quantise(values, scale) == list(quantise(values, scale))


@pytest.mark.parametrize("vector", cases("tensor", "dequantise"))
def test_dequantise__vector__gives_the_expected(tensor: Contract, vector: dict[str, Any]) -> None:
    assert tensor.dequantise([int(vector["quantised"])], vector["scale"]) == [int(vector["expected"])]


def test_dequantise__scale_over_18_bits__reverts(tensor: Contract) -> None:
    with reverts("tensor: scale over 18 bits"):
        tensor.dequantise([1], 19)


@pytest.mark.parametrize("q", [QUANTISED_LIMIT, -QUANTISED_LIMIT])
def test_dequantise__out_of_range__reverts(tensor: Contract, q: int) -> None:
    with reverts("tensor: number out of range"):
        tensor.dequantise([q], 0)


@given(values=st.lists(QUANTISED, max_size=64), scale=SCALES)
def test_dequantise__any_numbers__equals_the_specification(
    tensor: Contract, values: list[int], scale: int
) -> None:
    assert tensor.dequantise(values, scale) == list(dequantise(values, scale))


@pytest.mark.parametrize("vector", cases("tensor", "felt"))
def test_felt__vector__gives_the_expected(tensor: Contract, vector: dict[str, Any]) -> None:
    assert tensor.felt(int(vector["quantised"])) == int(vector["felt"])


@pytest.mark.parametrize("vector", cases("tensor", "felt_fail"))
def test_felt__bad_vector__reverts(tensor: Contract, vector: dict[str, Any]) -> None:
    with reverts("tensor: number out of range"):
        tensor.felt(int(vector["quantised"]))


@given(q=QUANTISED)
def test_felt__any_number__equals_the_specification(tensor: Contract, q: int) -> None:
    assert tensor.felt(q) == to_felt(q)


@pytest.mark.parametrize("vector", cases("tensor", "hash"))
def test_hash__vector__gives_the_expected(tensor: Contract, vector: dict[str, Any]) -> None:
    values = [int(value) for value in vector["values"]]
    assert tensor.hash_inputs(values) == raw(vector["expected"])
    if len(values) <= 64:
        assert tensor.hash_outputs(values) == raw(vector["expected"])


@given(values=st.lists(QUANTISED, max_size=64))
def test_hash__any_numbers__equals_the_specification(tensor: Contract, values: list[int]) -> None:
    assert tensor.hash_inputs(values) == tensor.hash_outputs(values) == tensor_hash(values)
