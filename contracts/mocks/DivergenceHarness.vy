# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title DivergenceHarness
@license Apache-2.0
@notice Opens lib/divergence to tests.
"""

from ..lib import divergence


@external
@pure
def judge(
    determinism: uint8,
    first: DynArray[int256, 64],
    second: DynArray[int256, 64],
    tolerance: uint256,
) -> (uint8, uint8):
    return divergence.judge(determinism, first, second, tolerance)


@external
@pure
def decider_of(determinism: uint8) -> uint8:
    return divergence.decider_of(determinism)
