# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title divergence
@license Apache-2.0
@notice Two operators return different outputs: what that means and what decides, per determinism class.
        The same answers as foretell_spec.divergence; tests/vectors/divergence.json holds both to them.
"""

MAX_OUTPUTS: constant(uint256) = 64

# What the one correct output of a model is.
CIRCUIT: constant(uint8) = 0
INTEGER: constant(uint8) = 1
FLOAT: constant(uint8) = 2
SEEDED: constant(uint8) = 3
OPEN: constant(uint8) = 4

# How two outputs stand to each other.
SAME: constant(uint8) = 0
WITHIN_TOLERANCE: constant(uint8) = 1
DIFFERENT: constant(uint8) = 2

# What settles which of two outputs is right.
NOTHING_TO_DECIDE: constant(uint8) = 0
PROOF: constant(uint8) = 1
RE_EXECUTION: constant(uint8) = 2
QUORUM: constant(uint8) = 3
TEACHER_FORCING: constant(uint8) = 4
UNDECIDABLE: constant(uint8) = 5


# (relation, decider) of two outputs; tolerance is the largest benign difference of an element of a FLOAT model.
@internal
@pure
def judge(
    determinism: uint8,
    first: DynArray[int256, MAX_OUTPUTS],
    second: DynArray[int256, MAX_OUTPUTS],
    tolerance: uint256,
) -> (uint8, uint8):
    relation: uint8 = self._relate(determinism, first, second, tolerance)
    if relation == DIFFERENT:
        return relation, self.decider_of(determinism)
    return relation, NOTHING_TO_DECIDE


@internal
@pure
def decider_of(determinism: uint8) -> uint8:
    assert determinism <= OPEN, "divergence: unknown class"
    if determinism == CIRCUIT:
        return PROOF
    if determinism == INTEGER:
        return RE_EXECUTION
    if determinism == FLOAT:
        return QUORUM
    if determinism == SEEDED:
        return TEACHER_FORCING
    return UNDECIDABLE


@internal
@pure
def _relate(
    determinism: uint8,
    first: DynArray[int256, MAX_OUTPUTS],
    second: DynArray[int256, MAX_OUTPUTS],
    tolerance: uint256,
) -> uint8:
    if keccak256(abi_encode(first)) == keccak256(abi_encode(second)):
        return SAME
    if determinism != FLOAT or len(first) != len(second):
        return DIFFERENT
    for i: uint256 in range(len(first), bound=MAX_OUTPUTS):
        if self._distance(first[i], second[i]) > tolerance:
            return DIFFERENT
    return WITHIN_TOLERANCE


# The distance of two int256 always fits a uint256, though their difference may not fit an int256.
@internal
@pure
def _distance(a: int256, b: int256) -> uint256:
    high: uint256 = convert(convert(max(a, b), bytes32), uint256)
    low: uint256 = convert(convert(min(a, b), bytes32), uint256)
    return unsafe_sub(high, low)
