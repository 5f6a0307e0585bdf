# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title IndexFeed
@license Apache-2.0
@author Foretell
@notice Keeps the last 23 daily closes of an index and gives their 22 returns. Example: one keeper is trusted.
@custom:invariant Days only grow; a recorded close is never changed.
"""

from ..interfaces import IIndexFeed

implements: IIndexFeed

CLOSES: constant(uint256) = 23
RETURNS: constant(uint256) = 22
WAD_PERCENT: constant(int256) = 100 * 10**18
# Above any price, and small enough that no return overflows.
MAX_CLOSE: constant(uint256) = 2**128

keeper: public(immutable(address))

# Ring of closes; position of the oldest one, which the next close replaces.
_closes: uint256[CLOSES]
_oldest: uint256
last_day: public(uint256)


@deploy
def __init__(keeper_: address, last_day_: uint256, closes: uint256[CLOSES]):
    """
    @param keeper_ Account that records closes.
    @param last_day_ Number of the last day in `closes`.
    @param closes The first 23 closes, oldest first, in any one unit.
    """
    assert keeper_ != empty(address), "feed: keeper is zero"
    for i: uint256 in range(CLOSES):
        self._check_close(closes[i])
    keeper = keeper_
    self.last_day = last_day_
    self._closes = closes


@external
def record(day: uint256, close: uint256):
    """
    @notice Add the close of a later day; the oldest one is forgotten.
    @dev Only the keeper. Days are numbers of trading days or dates, in any growing count.
    @param day Later than the last one.
    @param close Price in the unit of the others.
    """
    assert msg.sender == keeper, "feed: only the keeper"
    assert day > self.last_day, "feed: day not later"
    self._check_close(close)
    oldest: uint256 = self._oldest
    self._closes[oldest] = close
    self._oldest = (oldest + 1) % CLOSES
    self.last_day = day
    log IIndexFeed.CloseRecorded(day=day, close=close)


@external
@view
def recent_returns() -> DynArray[int256, 256]:
    """
    @notice The last 22 daily simple returns, 100 * (p / previous p - 1), newest last.
    @dev Rounded towards zero in the 18th decimal.
    @return Percent, WAD.
    """
    result: DynArray[int256, 256] = []
    position: uint256 = self._oldest
    previous: int256 = convert(self._closes[position], int256)
    for i: uint256 in range(RETURNS):
        position = (position + 1) % CLOSES
        close: int256 = convert(self._closes[position], int256)
        result.append(WAD_PERCENT * (close - previous) // previous)
        previous = close
    return result


@internal
@pure
def _check_close(close: uint256):
    assert close > 0, "feed: close is zero"
    assert close < MAX_CLOSE, "feed: close too large"
