"""OpenGradient's ``Number(value, decimals)``, worth ``value / 10**decimals``, and our WAD numbers.

Inward is exact. Outward is exact too, with as few decimals as the number needs, unless it does not fit an
``int128``: then it is rounded once, half up, to the most decimals that fit.
"""

from typing import Final

from foretell_spec.errors import TensorError

MAX_DECIMALS: Final = 18
_INT128: Final = 1 << 127

Number = tuple[int, int]


def to_wad(number: Number) -> int:
    """The WAD number of equal worth.

    Raises:
        TensorError: the decimals are not in 0..18.
    """
    value, decimals = number
    if not 0 <= decimals <= MAX_DECIMALS:
        raise TensorError(f"{decimals} decimals; a number has 0 to {MAX_DECIMALS}")
    return value * 10 ** (MAX_DECIMALS - decimals)  # type: ignore[no-any-return]  # typeshed: int ** int


def from_wad(wad: int) -> Number:
    """The ``Number`` that comes nearest to a WAD number.

    Raises:
        TensorError: it does not fit with any decimals.
    """
    for dropped in range(MAX_DECIMALS + 1):
        unit = 10**dropped
        value = (wad + unit // 2) // unit
        if -_INT128 <= value < _INT128:
            return _shorten(value, MAX_DECIMALS - dropped)
    raise TensorError(f"WAD number {wad} does not fit an int128")


def _shorten(value: int, decimals: int) -> Number:
    while decimals and value % 10 == 0:
        value, decimals = value // 10, decimals - 1
    return value, decimals
