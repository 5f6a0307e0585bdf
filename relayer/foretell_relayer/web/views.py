"""What the page shows, as plain values."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from foretell_relayer.journal.ledger import BUCKETS
from foretell_relayer.operate import reasons
from foretell_relayer.operate.health import Monitor
from foretell_relayer.store import Journal

QUEUE: Final = 100
ENDED: Final = 25
_BAR: Final = 220
"""Pixels of the longest bar."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the histogram; ``width`` in pixels."""

    label: str
    count: int
    width: int


def home(journal: Journal, monitor: Monitor, at: float) -> dict[str, Any]:
    """Everything on the first page."""
    return {
        "at": at,
        "identity": journal.identity_values(),
        "reasons": monitor.reasons(),
        "intake": monitor.intake,
        "insecure": monitor.insecure,
        "funds": monitor.funds,
        "counts": sorted(journal.counts().items()),
        "queue": journal.queue(QUEUE),
        "ended": journal.outcomes(ENDED),
        "bars": bars(journal.gaps()),
        "divergences": journal.divergences(),
        "sums": journal.sums(),
        "costs": journal.costs(limit=ENDED),
        "bound": journal.bound(),
    }


def bars(counts: list[int]) -> list[Bar]:
    """The histogram of trust gaps."""
    most = max([*counts, 1])
    labels = ["none", *(f"up to {_span(bound)}" for bound in BUCKETS[1:]), "longer"]
    return [Bar(label, count, -(-count * _BAR // most)) for label, count in zip(labels, counts, strict=True)]


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _code(why: str) -> str:
    return reasons.explain(why).code


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _short(value: bytes) -> str:
    return "0x" + value.hex()[:8] + "…"


def _ether(wei: float) -> str:
    return f"{wei / 10**18:.6f}"


def _when(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "far away"


FILTERS: Final[dict[str, Callable[[Any], str]]] = {
    "hex": _hex,
    "short": _short,
    "ether": _ether,
    "when": _when,
    "code": _code,
}
"""Of the templates."""
