# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title tensor
@license Apache-2.0
@notice Tensors on chain: exact quantisation, hash and field elements, the same as foretell_spec.tensor.
        A quantised integer q stands for q / 2**scale; WAD numbers have 18 decimals.
"""

WAD: constant(int256) = 10**18
HALF_WAD: constant(int256) = 5 * 10**17
MAX_SCALE: constant(uint8) = 18
MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64

# Quantised integers lie strictly between minus and plus this.
QUANTISED_LIMIT: constant(int256) = 2**127
# WAD inputs lie strictly between minus and plus this: 2**127 / 2**18, so that no product overflows.
WAD_LIMIT: constant(int256) = 2**109 * 10**18
# Makes every dividend positive, because Vyper's division truncates and quantisation needs the floor.
FLOOR_SHIFT: constant(int256) = 2**128

# Order of the scalar field of BN254, over which proofs are made (EIP-196).
FIELD_MODULUS: constant(uint256) = (
    21888242871839275222246405745257275088548364400416034343698204186575808495617
)


# q = floor((x * 2**scale + WAD / 2) / WAD) for each WAD number x: rounds half up.
@internal
@pure
def quantise(values: DynArray[int256, MAX_INPUTS], scale: uint8) -> DynArray[int256, MAX_INPUTS]:
    assert scale <= MAX_SCALE, "tensor: scale over 18 bits"
    result: DynArray[int256, MAX_INPUTS] = []
    for x: int256 in values:
        result.append(self.quantise_one(x, scale))
    return result


# The limit keeps every intermediate value far from overflow; scale is at most MAX_SCALE.
@internal
@pure
def quantise_one(x: int256, scale: uint8) -> int256:
    assert -WAD_LIMIT < x and x < WAD_LIMIT, "tensor: number out of range"
    shifted: int256 = unsafe_add((x << convert(scale, uint256)), HALF_WAD + FLOOR_SHIFT * WAD)
    return unsafe_sub(unsafe_div(shifted, WAD), FLOOR_SHIFT)


# WAD value of each quantised integer; exact, because 10**18 is divisible by 2**18.
@internal
@pure
def dequantise(values: DynArray[int256, MAX_OUTPUTS], scale: uint8) -> DynArray[int256, MAX_OUTPUTS]:
    assert scale <= MAX_SCALE, "tensor: scale over 18 bits"
    unit: int256 = WAD >> convert(scale, uint256)
    result: DynArray[int256, MAX_OUTPUTS] = []
    for q: int256 in values:
        self.require_quantised(q)
        result.append(q * unit)
    return result


@internal
@pure
def hash_inputs(values: DynArray[int256, MAX_INPUTS]) -> bytes32:
    return keccak256(abi_encode(values))


@internal
@pure
def hash_outputs(values: DynArray[int256, MAX_OUTPUTS]) -> bytes32:
    return keccak256(abi_encode(values))


# The one canonical field element of a quantised integer: the limit is far below half the order.
@internal
@pure
def felt(q: int256) -> uint256:
    self.require_quantised(q)
    if q >= 0:
        return convert(q, uint256)
    return FIELD_MODULUS - convert(-q, uint256)


@internal
@pure
def require_quantised(q: int256):
    assert -QUANTISED_LIMIT < q and q < QUANTISED_LIMIT, "tensor: number out of range"
