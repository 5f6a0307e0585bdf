"""One request as its operator reads of it: where it is, since when, why, what comes next, what to do."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from foretell_relayer import coded
from foretell_relayer.operate import reasons
from foretell_relayer.operate.errors import OrderRefused
from foretell_relayer.operate.reasons import Explanation
from foretell_relayer.records import Attempt, Cost, HistoryEntry, Row
from foretell_relayer.store import Journal

SHORTEST: Final = 4
"""Hexadecimal digits from which the beginning of an id may stand for it."""

_WHOLE: Final = 64
_MISHAPS: Final = ("not_sent", "refused", "infer_failed", "prove_failed", "reverted")
_ERROR_MODULES: Final = ("errors", "models.errors", "prove.errors", "operate.errors")


@dataclass(frozen=True, slots=True)
class Mishap:
    """What went wrong last: the journal's text, and what the error's class advises."""

    at: float
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a request. ``since`` is wall clock."""

    row: Row
    now: str
    since: float
    explanation: Explanation
    mishap: Mishap | None
    history: list[HistoryEntry]
    attempts: list[Attempt]
    costs: dict[bytes, Cost]

    @property
    def remedy(self) -> str:
        """What to do: what the last error asks for, where it is why the request does not move."""
        if self.mishap is not None and self.mishap.hint and self.row.outcome is None:
            return self.mishap.hint
        return self.explanation.remedy


def tell(journal: Journal, row: Row, clock: Callable[[], float] = time.time) -> Story:
    """The story of a request."""
    history = journal.history(row.request_id)
    return Story(
        row=row,
        now=row.outcome or row.step,
        since=_since(row, history, clock),
        explanation=reasons.explain(row.why),
        mishap=_mishap(history),
        history=history,
        attempts=journal.attempts(row.request_id),
        costs={cost.tx_hash: cost for cost in journal.costs(row.request_id)},
    )


def find(journal: Journal, prefix: str) -> Row:
    """The request whose id begins like this.

    Raises:
        OrderRefused: there is none, or more than one.
    """
    digits = prefix.lower().removeprefix("0x")
    if len(digits) < SHORTEST or not set(digits) <= set("0123456789abcdef"):
        raise OrderRefused(f"{prefix[:80]}: give at least {SHORTEST} hexadecimal digits of a request's id")
    whole = journal.get(bytes.fromhex(digits)) if len(digits) == _WHOLE else None
    if whole is not None:
        return whole
    found = [each for each in journal.ids() if each.hex().startswith(digits)]
    if len(found) != 1:
        what = "no such request" if not found else f"{len(found)} requests begin like this"
        raise OrderRefused(f"0x{digits[:64]}: {what}")
    row = journal.get(found[0])
    if row is None:
        raise OrderRefused(f"0x{digits[:64]}: no such request")
    return row


def _since(row: Row, history: list[HistoryEntry], clock: Callable[[], float]) -> float:
    at = [entry.at for entry in history if entry.detail == row.why]
    return at[-1] if at else history[0].at if history else clock()


def _mishap(history: list[HistoryEntry]) -> Mishap | None:
    found = [entry for entry in history if entry.what in _MISHAPS]
    if not found:
        return None
    for name in _ERROR_MODULES:  # so that their classes can be found by code
        importlib.import_module(f"foretell_relayer.{name}")
    kind = coded.find(found[-1].detail)
    return Mishap(found[-1].at, found[-1].detail, kind.hint if kind else "")
