"""Fees of transactions (EIP-1559), in wei per gas."""

from dataclasses import dataclass

from foretell_relayer.errors import FeeTooHigh

BUMP_PERCENT = 13
"""Nodes take a replacement from 10 percent more on (geth's default); integer rounding needs some room."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers at most, and the part of it that is the block builder's."""

    most: int
    tip: int


def suggest(base_fee: int, tip: int, ceiling: int) -> Fees:
    """Fees that last for several full blocks.

    Raises:
        FeeTooHigh: the base fee alone is above the ceiling.
    """
    if base_fee > ceiling:
        raise FeeTooHigh(f"the base fee is {base_fee} wei per gas, the ceiling {ceiling}")
    most = min(ceiling, 2 * base_fee + tip)
    return Fees(most, min(tip, most))


def bump(old: Fees, now: Fees, ceiling: int) -> Fees | None:
    """Fees that replace a transaction that offered ``old``; ``None`` where the ceiling does not allow it."""
    most, tip = max(now.most, _more(old.most)), max(now.tip, _more(old.tip))
    if most > ceiling:
        return None
    return Fees(most, min(tip, most))


def _more(fee: int) -> int:
    return fee + max(1, -(-fee * BUMP_PERCENT // 100))
