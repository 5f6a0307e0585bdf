"""Tensors on chain: WAD numbers, their exact quantisation, their hash and their field elements.

A model of class CIRCUIT or INTEGER computes on integers ``q`` that stand for ``q / 2**scale``. A caller gives
and gets WAD numbers (18 decimals). Both directions are integer arithmetic, the same in Vyper and Python:

- ``quantise`` rounds half up: ``q = floor((x * 2**scale + WAD / 2) / WAD)``;
- ``dequantise`` is exact, because ``10**18`` is divisible by ``2**18`` and scales are at most 18 bits.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from eth_abi import encode
from eth_utils import keccak

from foretell_spec.errors import TensorError

WAD: Final = 10**18
MAX_SCALE: Final = 18
MAX_INPUTS: Final = 256
MAX_OUTPUTS: Final = 64

QUANTISED_LIMIT: Final = 1 << 127
"""Quantised integers lie strictly between minus and plus this."""

WAD_LIMIT: Final = (1 << 127) * WAD // (1 << MAX_SCALE)
"""WAD inputs lie strictly between minus and plus this, so that no product overflows an ``int256``."""

FIELD_MODULUS: Final = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the scalar field of BN254, over which proofs are made (EIP-196)."""

Tensor = tuple[int, ...]


def _require_scale(scale: int) -> None:
    if not 0 <= scale <= MAX_SCALE:
        raise TensorError(f"scale {scale} is not in 0..{MAX_SCALE}")


def quantise(values: Iterable[int], scale: int) -> Tensor:
    """Quantise WAD numbers to integers of ``scale`` bits, rounding half up.

    Raises:
        TensorError: the scale is over 18 bits or a number is out of range.
    """
    _require_scale(scale)
    return tuple(_quantise_one(x, scale) for x in values)


def _quantise_one(x: int, scale: int) -> int:
    if not -WAD_LIMIT < x < WAD_LIMIT:
        raise TensorError(f"WAD number {x} is out of range")
    return ((x << scale) + WAD // 2) // WAD


def dequantise(values: Iterable[int], scale: int) -> Tensor:
    """Turn quantised integers back into WAD numbers, exactly."""
    _require_scale(scale)
    return tuple(require_quantised(q) * (WAD >> scale) for q in values)


def require_quantised(q: int) -> int:
    """Return ``q``, or raise ``TensorError`` where it is no quantised integer."""
    if not -QUANTISED_LIMIT < q < QUANTISED_LIMIT:
        raise TensorError(f"quantised integer {q} is out of range")
    return q


def tensor_hash(values: Sequence[int]) -> bytes:
    """keccak256 of ``abi.encode(int256[])`` of quantised integers; tensors are compared by it."""
    return keccak(encode(["int256[]"], [list(values)]))


def to_felt(q: int) -> int:
    """The field element that stands for a quantised integer in a proof's instances."""
    return require_quantised(q) % FIELD_MODULUS


def from_felt(felt: int) -> int:
    """The quantised integer that a field element stands for.

    Raises:
        TensorError: the element is not canonical or stands for no quantised integer.
    """
    if not 0 <= felt < FIELD_MODULUS:
        raise TensorError("field element is not canonical")
    return require_quantised(felt if felt < QUANTISED_LIMIT else felt - FIELD_MODULUS)
