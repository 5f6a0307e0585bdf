"""The draw: in which order bonded operators are asked for one answer (docs/spec/draw.md).

An exponential race: each operator gets an arrival time, exponentially distributed with its bond as the rate,
from a hash that nobody chooses. The earliest is asked first. Integers alone, so every machine draws alike.
"""

from collections.abc import Mapping
from typing import Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak

SEED_TYPEHASH: Final = keccak(text="DrawSeed(bytes32 block_hash,bytes32 salt)")
DRAW_TYPEHASH: Final = keccak(text="Draw(bytes32 seed,bytes32 request_id,address operator)")
LOG_BITS: Final = 64
"""Fractional bits of a logarithm."""
TIME_BITS: Final = 128
"""Bits by which a logarithm is widened before it is divided by a bond, in wei."""

_MANTISSA_BITS: Final = 127


def draw_seed(block_hash: bytes, salt: bytes) -> bytes:
    """What a draw is seeded with: a block's hash, and 32 bytes that only the drawing node knows."""
    return keccak(encode(["bytes32"] * 3, [SEED_TYPEHASH, block_hash, salt]))


def draw(seed: bytes, request_id: bytes, bonds: Mapping[ChecksumAddress, int]) -> tuple[ChecksumAddress, ...]:
    """Operators in the order in which they are asked.

    Args:
        seed: 32 bytes of ``draw_seed``.
        request_id: the question.
        bonds: active bonds in wei; an operator with none is not drawn.
    """
    bonded = [operator for operator, bond in bonds.items() if bond > 0]
    return tuple(sorted(bonded, key=lambda operator: _arrival(seed, request_id, operator, bonds[operator])))


def _arrival(seed: bytes, request_id: bytes, operator: ChecksumAddress, bond: int) -> tuple[int, int]:
    words = ["bytes32", "bytes32", "bytes32", "address"]
    ticket = int.from_bytes(keccak(encode(words, [DRAW_TYPEHASH, seed, request_id, operator])), "big")
    return (minus_log2(ticket) << TIME_BITS) // bond, ticket


def minus_log2(ticket: int) -> int:
    """``-log2((ticket + 1) / 2**256)`` with ``LOG_BITS`` fractional bits, for ``ticket`` below ``2**256``.

    The bits of the logarithm come one by one, by squaring a mantissa of 127 bits after its leading one.
    """
    value = ticket + 1
    whole = value.bit_length() - 1
    shift = whole - _MANTISSA_BITS
    mantissa = value >> shift if shift >= 0 else value << -shift
    bits = 0
    for _ in range(LOG_BITS):
        mantissa = mantissa * mantissa >> _MANTISSA_BITS
        carry = mantissa >> (_MANTISSA_BITS + 1)
        mantissa >>= carry
        bits = bits << 1 | carry
    return (256 << LOG_BITS) - (whole << LOG_BITS | bits)
