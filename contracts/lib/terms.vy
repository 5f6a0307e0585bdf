# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title terms
@license Apache-2.0
@notice What a settlement needs of a model in one word, the same as foretell_spec.terms. ModelRegistry stores it,
        each request carries it, so a delivery need not read the registry.
        From the lowest bit: class, input scale, output scale (8 bits each), sizes (16 each), windows (64 each), and
        one bit that says whether the model takes new requests.
"""

INPUT_SCALE_AT: constant(uint256) = 8
OUTPUT_SCALE_AT: constant(uint256) = 16
INPUT_SIZE_AT: constant(uint256) = 24
OUTPUT_SIZE_AT: constant(uint256) = 40
CHALLENGE_WINDOW_AT: constant(uint256) = 56
PROOF_WINDOW_AT: constant(uint256) = 120
OPEN_FLAG: constant(uint256) = 1 << 184

MASK_8: constant(uint256) = 2**8 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_64: constant(uint256) = 2**64 - 1


@internal
@pure
def pack(
    determinism: uint8,
    input_scale: uint8,
    output_scale: uint8,
    input_size: uint256,
    output_size: uint256,
    challenge_window: uint64,
    proof_window: uint64,
) -> uint256:
    return (
        convert(determinism, uint256)
        | convert(input_scale, uint256) << INPUT_SCALE_AT
        | convert(output_scale, uint256) << OUTPUT_SCALE_AT
        | input_size << INPUT_SIZE_AT
        | output_size << OUTPUT_SIZE_AT
        | convert(challenge_window, uint256) << CHALLENGE_WINDOW_AT
        | convert(proof_window, uint256) << PROOF_WINDOW_AT
        | OPEN_FLAG
    )


@internal
@pure
def determinism(word: uint256) -> uint8:
    return convert(word & MASK_8, uint8)


@internal
@pure
def input_scale(word: uint256) -> uint8:
    return convert((word >> INPUT_SCALE_AT) & MASK_8, uint8)


@internal
@pure
def output_scale(word: uint256) -> uint8:
    return convert((word >> OUTPUT_SCALE_AT) & MASK_8, uint8)


@internal
@pure
def input_size(word: uint256) -> uint256:
    return (word >> INPUT_SIZE_AT) & MASK_16


@internal
@pure
def output_size(word: uint256) -> uint256:
    return (word >> OUTPUT_SIZE_AT) & MASK_16


# Seconds.
@internal
@pure
def challenge_window(word: uint256) -> uint256:
    return (word >> CHALLENGE_WINDOW_AT) & MASK_64


# Seconds.
@internal
@pure
def proof_window(word: uint256) -> uint256:
    return (word >> PROOF_WINDOW_AT) & MASK_64


@internal
@pure
def is_open(word: uint256) -> bool:
    return word & OPEN_FLAG != 0
