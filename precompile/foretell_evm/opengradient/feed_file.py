"""Reading a price feed from CSV, JSON or a callable. What they hold is checked as any outside data is."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.feed import MAX_CANDLES, MAX_VALUE, Candle, Pair, PriceFeed
from foretell_evm.strict import problem
from foretell_spec.tensor import WAD

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
_EXACT: Final = Context(prec=64)
"""More digits than a value has: the default context would round."""

Rows = Iterable[Mapping[str, Any]]


def _seconds(value: Any) -> Any:
    """Unix seconds of a number, or of a date and time of ISO 8601, which is UTC where it names no zone."""
    if isinstance(value, str) and not value.strip().isdecimal():
        moment = datetime.fromisoformat(value.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment.microsecond:
            raise ValueError("a candle begins at a full second")
        return int(moment.timestamp())
    return value


_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Value = Annotated[
    Decimal, Field(ge=0, lt=MAX_VALUE // WAD, decimal_places=18, allow_inf_nan=False)
]  # decimal_places also bounds exponents, so that the integers below stay small


class _Row(BaseModel):
    """One candle as people write it: prices as decimal numbers of at most 18 decimals. A number of JSON is a
    double; what needs more than its 15 digits is written as a string.
    """

    model_config = ConfigDict(extra="forbid")

    base: _Name
    quote: _Name
    time: Annotated[int, BeforeValidator(_seconds)]
    open: _Value
    high: _Value
    low: _Value
    close: _Value
    volume: _Value = Decimal(0)

    def candle(self) -> Candle:
        values = (self.high, self.low, self.open, self.close, self.volume)
        return Candle(self.time, *(int(_EXACT.scaleb(value, 18)) for value in values))


_ROWS: Final = TypeAdapter(Annotated[list[_Row], Field(max_length=MAX_CANDLES)])


def price_feed(rows: Rows | Callable[[], Rows], candle_minutes: int) -> PriceFeed:
    """A feed of rows, or of what a callable gives, which is called once: a chain's prices never change.

    Args:
        rows: mappings with ``base``, ``quote``, ``time`` (Unix seconds or ISO 8601), ``open``, ``high``,
            ``low``, ``close`` and, where there is one, ``volume``; in any order.
        candle_minutes: how long each row's candle lasts.

    Raises:
        ConfigError: they make no feed.
    """
    try:
        read = _ROWS.validate_python(list(rows() if callable(rows) else rows))
    except ValidationError as error:
        raise ConfigError(f"feed: row {problem(error)}") from None
    pairs: dict[Pair, list[Candle]] = defaultdict(list)
    for row in read:
        pairs[row.base, row.quote].append(row.candle())
    return PriceFeed(candle_minutes, {pair: tuple(sorted(candles)) for pair, candles in pairs.items()})


def read_feed(file: Path, candle_minutes: int) -> PriceFeed:
    """A feed from a file: ``.csv`` with a header line, or ``.json`` with a list of objects.

    Raises:
        ConfigError: the file cannot be read, or holds no feed.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"feed: {file} cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"feed: {file} is over {MAX_FILE_BYTES} bytes")
    readers = {".csv": _csv, ".json": _json}
    if file.suffix.lower() not in readers:
        raise ConfigError(f"feed: {file} is neither .csv nor .json")
    try:
        return price_feed(readers[file.suffix.lower()](content.decode("utf-8-sig")), candle_minutes)
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"feed: {file} is damaged: {error}") from None


def _csv(text: str) -> Rows:
    # A row that is too long has its rest under the key None, a short one has None as its last values: both
    # are refused as rows are.
    return [
        {str(key): value for key, value in row.items()} for row in csv.DictReader(StringIO(text), strict=True)
    ]


def _json(text: str) -> Rows:
    # Not the module json: deep nesting takes the process down where py-evm has raised the recursion limit.
    rows = from_json(text, allow_inf_nan=False)
    if not isinstance(rows, list):
        raise ConfigError("feed: the file holds no list")
    return rows
