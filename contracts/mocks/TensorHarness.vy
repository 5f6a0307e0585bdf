# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title TensorHarness
@license Apache-2.0
@notice Opens lib/tensor to tests.
"""

from ..lib import tensor


@external
@pure
def quantise(values: DynArray[int256, 256], scale: uint8) -> DynArray[int256, 256]:
    return tensor.quantise(values, scale)


@external
@pure
def dequantise(values: DynArray[int256, 64], scale: uint8) -> DynArray[int256, 64]:
    return tensor.dequantise(values, scale)


@external
@pure
def hash_inputs(values: DynArray[int256, 256]) -> bytes32:
    return tensor.hash_inputs(values)


@external
@pure
def hash_outputs(values: DynArray[int256, 64]) -> bytes32:
    return tensor.hash_outputs(values)


@external
@pure
def felt(q: int256) -> uint256:
    return tensor.felt(q)
