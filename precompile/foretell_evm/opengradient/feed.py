"""The price history that 0xF5 answers from: fixed candles, so that every node sees the same in a block.

A feed may hold candles that are still to come: a block sees those alone that are over at its time.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from foretell_evm.errors import ConfigError
from foretell_spec.tensor import WAD

MAX_CANDLES: Final = 100_000
"""Candles of all pairs together."""
MAX_VALUE: Final = 10**20 * WAD
"""A price or a volume is below this."""
MAX_CANDLE_MINUTES: Final = 366 * 24 * 60

Pair = tuple[str, str]
"""Base and quote, as contracts name them."""


class Candle(NamedTuple):
    """Prices and volume (WAD) of the time from ``time`` (Unix seconds) on."""

    time: int
    high: int
    low: int
    open: int
    close: int
    volume: int

    @property
    def values(self) -> tuple[int, ...]:
        """All but the time, by the numbers of OpenGradient's ``CandleType``."""
        return self[1:]


class NoPrices(Exception):
    """The feed has not so many candles of this pair before this time."""


@dataclass(frozen=True, slots=True)
class PriceFeed:
    """Candles of ``candle_minutes`` each, by pair, in order of time; there may be gaps, as at weekends.

    Raises:
        ConfigError: a candle overlaps another, begins at no multiple of its duration since 1970, or has
            prices that cannot be.
    """

    candle_minutes: int
    pairs: Mapping[Pair, Sequence[Candle]]

    def __post_init__(self) -> None:
        if not 0 < self.candle_minutes <= MAX_CANDLE_MINUTES:
            raise ConfigError(f"feed: candles of {self.candle_minutes} minutes; 1 to {MAX_CANDLE_MINUTES}")
        count = sum(map(len, self.pairs.values()))
        if count > MAX_CANDLES:
            raise ConfigError(f"feed: {count} candles; at most {MAX_CANDLES}")
        for pair, candles in self.pairs.items():
            for candle in candles:
                self._check(pair, candle)
            for first, second in pairwise(candles):
                if first.time >= second.time:
                    raise _broken(pair, second, "is not after the one before it")

    def _check(self, pair: Pair, candle: Candle) -> None:
        time, *values = candle
        if not 0 <= time < 2**63 or time % self._seconds:
            raise _broken(pair, candle, f"must begin at a multiple of {self._seconds} seconds since 1970")
        if not all(0 <= value < MAX_VALUE for value in values):
            raise _broken(pair, candle, "has a price or volume that is negative or too large")
        if not candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
            raise _broken(pair, candle, "has an open or close that is not between low and high")

    @property
    def _seconds(self) -> int:
        return self.candle_minutes * 60

    def rows_per_candle(self, minutes: int) -> int | None:
        """Most candles of this feed that one of ``minutes`` is made of; ``None`` where it cannot be made."""
        rows, rest = divmod(minutes, self.candle_minutes)
        return rows if rows and not rest else None

    def latest(self, pair: Pair, count: int, minutes: int, now: int) -> list[Candle]:
        """The last ``count`` candles of ``minutes`` each that are over at ``now``, oldest first.

        A candle spans a multiple of ``minutes`` since 1970. Where the feed has nothing within one, there is
        none; one that the feed has not reached the end of is left out.

        Raises:
            NoPrices: there are not so many.
        """
        candles = list(islice(self._backwards(self.pairs.get(pair, ()), minutes * 60, now), count))
        if len(candles) < count:
            raise NoPrices(f"{len(candles)} candles of {pair}, not {count}")
        return candles[::-1]

    def _backwards(self, rows: Sequence[Candle], width: int, now: int) -> Iterator[Candle]:
        over = bisect_right(rows, now - self._seconds, key=attrgetter("time"))
        reached = rows[over - 1].time + self._seconds if over else 0
        newest_first = (rows[index] for index in range(over - 1, -1, -1))
        for number, within in groupby(newest_first, lambda row: row.time // width):
            if (number + 1) * width <= reached:
                yield _merge(number * width, list(within))


def _merge(time: int, newest_first: Sequence[Candle]) -> Candle:
    return Candle(
        time=time,
        high=max(row.high for row in newest_first),
        low=min(row.low for row in newest_first),
        open=newest_first[-1].open,
        close=newest_first[0].close,
        volume=sum(row.volume for row in newest_first),
    )


def _broken(pair: Pair, candle: Candle, what: str) -> ConfigError:
    return ConfigError(f"feed: the candle of {'/'.join(pair)} at {candle.time} {what}")
