"""Daily closes of the S&P 500 around February 2018, when its volatility jumped.

``sp500_closes.csv`` is cut from the prices that the PyPI package ``arch`` ships, so that the demo need not
install it: ``python -m scripts.demo.closes`` writes the file again.
"""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

FILE = Path(__file__).parent / "sp500_closes.csv"
FIRST, LAST = "2017-12-27", "2018-03-29"


@dataclass(frozen=True, slots=True)
class Close:
    """One trading day; ``price`` in cents."""

    day: date
    price: int


def closes() -> list[Close]:
    """All days of the file, oldest first."""
    with FILE.open(newline="") as file:
        return [Close(date.fromisoformat(row["day"]), int(row["cents"])) for row in csv.DictReader(file)]


def cut() -> str:
    """The file's text, made from ``arch``'s prices."""
    import arch.data.sp500

    prices = arch.data.sp500.load()["Adj Close"][FIRST:LAST]
    rows = [f"{str(day)[:10]},{round(price * 100)}" for day, price in prices.items()]
    return "\n".join(["day,cents", *rows]) + "\n"


if __name__ == "__main__":
    FILE.write_text(cut())
