"""Price feeds: what they answer, and what is refused of files."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.feed import MAX_VALUE, Candle, NoPrices, PriceFeed
from foretell_evm.opengradient.feed_file import price_feed, read_feed
from foretell_spec.tensor import WAD
from tests.kit.opengradient import FIRST, HOUR, hourly_feed, row

PAIR = ("ETH", "USD")
LATE = FIRST + 10_000 * HOUR


def closes(candles: list[Candle]) -> list[float]:
    return [candle.close / WAD for candle in candles]


def test_latest__hours__are_the_last_ones_oldest_first() -> None:
    assert closes(hourly_feed().latest(PAIR, 3, 60, LATE)) == [55.5, 56.5, 57.5]


def test_latest__longer_candles__merge_the_feed_s() -> None:
    (day,) = hourly_feed().latest(PAIR, 1, 24 * 60, LATE)
    prices = (59, 33, 34, 57.5, sum(range(24, 48)))
    assert day == (FIRST + 24 * HOUR, *(int(value * WAD) for value in prices))


@pytest.mark.parametrize(("seconds", "last"), [(0, 12.5), (-1, 11.5), (HOUR - 1, 12.5), (HOUR, 13.5)])
def test_latest__at_a_time__sees_what_is_over_then(seconds: int, last: float) -> None:
    assert closes(hourly_feed().latest(PAIR, 1, 60, FIRST + 3 * HOUR + seconds)) == [last]


def test_latest__long_candle_under_way__is_left_out() -> None:
    now = FIRST + 30 * HOUR
    assert [candle.time for candle in hourly_feed().latest(PAIR, 1, 24 * 60, now)] == [FIRST]


def test_latest__feed_that_ends_within_a_candle__leaves_it_out() -> None:
    (day,) = hourly_feed(hours=30).latest(PAIR, 1, 24 * 60, LATE)
    assert day.time == FIRST


def test_latest__gap__has_no_candle() -> None:
    feed = price_feed([row(index) for index in (0, 1, 5, 6)], 60)
    assert [candle.time for candle in feed.latest(PAIR, 4, 60, LATE)] == [
        FIRST + index * HOUR for index in (0, 1, 5, 6)
    ]


@pytest.mark.parametrize(
    ("pair", "count", "now"),
    [(PAIR, 49, LATE), (("ETH", "EUR"), 1, LATE), (("eth", "usd"), 1, LATE), (PAIR, 1, FIRST), (PAIR, 1, 0)],
)
def test_latest__not_so_many__is_no_answer(pair: tuple[str, str], count: int, now: int) -> None:
    with pytest.raises(NoPrices):
        hourly_feed().latest(pair, count, 60, now)


def test_price_feed__callable__is_asked_once() -> None:
    asked = []

    def prices() -> list[dict[str, Any]]:
        asked.append(1)
        return [row(0), row(1)]

    feed = price_feed(prices, 60)
    for _ in range(3):
        feed.latest(PAIR, 2, 60, LATE)
    assert len(asked) == 1


def test_price_feed__rows_in_any_order_and_form__are_exact() -> None:
    written = row(1, time="2023-11-14T01:00:00Z", close="10.123456789012345678", low=Decimal(9), volume="1e3")
    feed = price_feed([written, row(0, time="2023-11-14")], 60)
    first, second = feed.pairs[PAIR]
    assert (first.time, second.time) == (FIRST, FIRST + HOUR)
    assert second.close == 10_123456789012345678
    assert second.volume == 1_000 * WAD


def test_price_feed__greatest_value__is_exact() -> None:
    greatest = "99999999999999999999.999999999999999999"
    (candle,) = price_feed([row(0, high=greatest)], 60).pairs[PAIR]
    assert candle.high == MAX_VALUE - 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"close": "NaN"}, "close"),
        ({"close": "Infinity"}, "close"),
        ({"close": float("nan")}, "close"),
        ({"close": -1}, "close"),
        ({"close": "10.1234567890123456789"}, "close"),
        ({"close": "1e-19"}, "close"),
        ({"high": "1e20"}, "high"),
        ({"high": "1e999999999"}, "high"),
        ({"volume": "1e-999999999"}, "volume"),
        ({"close": ""}, "close"),
        ({"close": None}, "close"),
        ({"close": "12,5"}, "close"),
        ({"high": 10}, "between low and high"),
        ({"low": 11}, "between low and high"),
        ({"time": FIRST + 1}, "multiple of 3600"),
        ({"time": -HOUR}, "multiple of 3600"),
        ({"time": 2**64}, "multiple of 3600"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2023-11-14T00:00:00.5"}, "full second"),
        ({"time": 1.5}, "time"),
        ({"base": ""}, "base"),
        ({"base": "E" * 65}, "base"),
        ({"base": 7}, "base"),
        ({"more": 1}, "more"),
    ],
)
def test_price_feed__hostile_row__is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        price_feed([row(0, **change)], 60)


def test_price_feed__one_time_twice__is_refused() -> None:
    with pytest.raises(ConfigError, match="not after the one before"):
        price_feed([row(0), row(0)], 60)


@pytest.mark.parametrize("minutes", [0, -60, 10**9])
def test_feed__candles_of_no_length__are_refused(minutes: int) -> None:
    with pytest.raises(ConfigError, match="minutes"):
        PriceFeed(minutes, {})


def test_feed__too_many_candles__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretell_evm.opengradient.feed.MAX_CANDLES", 47)
    with pytest.raises(ConfigError, match="48 candles; at most 47"):
        hourly_feed()


CSV = "base,quote,time,open,high,low,close,volume\n" + "".join(
    f"ETH,USD,{FIRST + index * HOUR},{10 + index},{12 + index},{9 + index},{10 + index}.5,{index}\n"
    for index in range(48)
)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_read_feed__csv__is_the_feed(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(mark + CSV, encoding="utf-8")
    assert read_feed(file, 60) == hourly_feed()


def test_read_feed__json__is_the_feed(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps([row(index) for index in range(48)]))
    assert read_feed(file, 60) == hourly_feed()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"base,quote,time\nETH,USD,0\n", "open"),
        ("a.csv", CSV.encode() + b"ETH,USD,1,2\n", "48"),
        ("a.csv", CSV.encode() + b"ETH,USD,1,2,3,4,5,6,7\n", "48"),
        ("a.csv", b"\xff\xfe", "damaged"),
        ("a.csv", b'base,quote\n"ETH', "damaged"),
        ("a.json", b"{}", "no list"),
        ("a.json", b"[1]", "0"),
        ("a.json", b"[", "damaged"),
        ("a.json", b"[" * 100_000, "damaged"),
        ("a.json", b"[" + b"9" * 10_000 + b"]", "damaged"),
        ("a.json", b'[{"base": NaN}]', "damaged"),
        ("a.txt", b"", "neither"),
    ],
)
def test_read_feed__damaged__is_one_clear_error(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_feed(file, 60)


def test_read_feed__no_file_or_a_huge_one__is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_feed(tmp_path / "none.csv", 60)
    monkeypatch.setattr("foretell_evm.opengradient.feed_file.MAX_FILE_BYTES", 10)
    (tmp_path / "a.csv").write_text(CSV)
    with pytest.raises(ConfigError, match="over 10 bytes"):
        read_feed(tmp_path / "a.csv", 60)
