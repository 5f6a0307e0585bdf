"""An independent look at the chain: what was settled, how often, and with which nonces.

It reads the contract's events and blocks through a connection of its own, and nothing of the relayer's.
"""

import json
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.kit.anvil import RELAYER, Stage

OPEN, DELIVERED, DISPUTED, FINAL, UNDETERMINED, EXPIRED = range(1, 7)
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Outcome:
    """What became of some requests. ``lost`` are those that are still open; ``doubled`` settled twice."""

    settled: int = 0
    expired: int = 0
    lost: int = 0
    doubled: int = 0


def observe(stage: Stage, requests: Sequence[bytes]) -> Outcome:
    """Look at requests that should be over; a delivery that waits for its window counts as settled."""
    outcome = Outcome()
    events = {
        name: Counter(bytes(event["args"]["request_id"]) for event in stage.events(name))
        for name in ("Delivered", "Finalised")
    }
    for request_id in requests:
        status = stage.status(request_id)
        if status == EXPIRED:
            outcome.expired += 1
        elif status in (DELIVERED, FINAL):
            outcome.settled += 1
        else:
            outcome.lost += 1
        outcome.doubled += any(counts[request_id] > 1 for counts in events.values())
    return outcome


def nonces_are_whole(stage: Stage, first_block: int, before: int) -> bool:
    """Whether the relayer's transactions since a block have consecutive nonces, and none waits."""
    w3 = stage.anvil.w3
    used = [
        transaction["nonce"]
        for number in range(first_block, w3.eth.block_number + 1)
        for transaction in w3.eth.get_block(number, full_transactions=True)["transactions"]
        if transaction["from"] == RELAYER.address
    ]
    pending = w3.eth.get_transaction_count(RELAYER.address, "pending")
    return sorted(used) == list(range(before, before + len(used))) and pending == before + len(used)


@dataclass
class Record:
    """One fault and how the relayer took it: its seed, and seconds from the fault's end to work again."""

    fault: str
    seed: int
    recovery: list[float] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)

    def check(self) -> None:
        """The promise."""
        assert (self.outcome.lost, self.outcome.doubled) == (0, 0), self


class Report:
    """All records of a run, as JSON and as a table."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, folder: Path) -> None:
        """Write ``faults.json`` and ``faults.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "faults.json").write_text(json.dumps([asdict(each) for each in self.records], indent=1))
        (folder / "faults.md").write_text(self.table())

    def table(self) -> str:
        """One row for each fault; recovery in seconds."""
        head = (
            "| fault | seeds | runs | p50 s | p95 s | max s | settled | expired | lost | doubled |\n"
            "|---|---|---|---|---|---|---|---|---|---|\n"
        )
        rows = []
        for fault in dict.fromkeys(record.fault for record in self.records):
            mine = [record for record in self.records if record.fault == fault]
            times = sorted(second for record in mine for second in record.recovery)
            sums = [
                sum(getattr(record.outcome, name) for record in mine)
                for name in ("settled", "expired", "lost", "doubled")
            ]
            seeds = ", ".join(str(seed) for seed in sorted({record.seed for record in mine}))
            rows.append(
                f"| {fault} | {seeds} | {len(times)} | {_spread(times)} | {' | '.join(map(str, sums))} |"
            )
        return head + "\n".join(rows) + "\n"


def _spread(times: list[float]) -> str:
    if not times:
        return " | ".join("-" * 3)
    p95 = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
    return " | ".join(f"{value:.1f}" for value in (statistics.median(times), p95, times[-1]))


def long_profile() -> bool:
    """Whether everything is to be tried, and not a sample of a few minutes."""
    return os.environ.get("FORETELL_FAULTS") == "long"


def seeds(few: int = 1, many: int = 3) -> list[int]:
    """Seeds to run with; ``FORETELL_FAULTS_SEED`` names the first."""
    first = int(os.environ.get("FORETELL_FAULTS_SEED", "1"))
    return list(range(first, first + (many if long_profile() else few)))
