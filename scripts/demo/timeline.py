"""What happened, when, at which gas, and what the answer was worth then: printed as it happens, and kept."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from rich.box import SIMPLE
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text


class Tone(Enum):
    """How a step feels."""

    PLAIN = "plain"
    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


_STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.WAIT: "yellow", Tone.BAD: "red"}
COLOURS = {Tone.PLAIN: "#64748b", Tone.GOOD: "#16a34a", Tone.WAIT: "#d97706", Tone.BAD: "#dc2626"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. ``at`` is in seconds since its act began."""

    at: float
    who: str
    what: str
    gas: int | None = None
    assurance: str = ""
    tone: Tone = Tone.PLAIN


@dataclass(slots=True)
class Act:
    """One question and its fate. ``gap`` is the trust gap in seconds, ``None`` while it is open."""

    title: str
    started: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    gap: float | None = None

    def elapsed(self) -> float:
        """Seconds since the act began."""
        return time.monotonic() - self.started

    @property
    def gas(self) -> int:
        """Gas of all its transactions."""
        return sum(step.gas or 0 for step in self.steps)


class Timeline:
    """Prints steps as they happen and keeps the acts for the summary and the picture."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.acts: list[Act] = []

    @contextmanager
    def act(self, title: str) -> Iterator[Act]:
        """Begin an act; steps told inside belong to it."""
        self.acts.append(Act(title))
        self.console.print()
        self.console.print(Rule(f"[bold]{len(self.acts)}. {title}", align="left", style="dim"))
        yield self.acts[-1]

    def tell(
        self, who: str, what: str, *, gas: int | None = None, assurance: str = "", tone: Tone = Tone.PLAIN
    ) -> Step:
        """Add a step to the current act and print it."""
        act = self.acts[-1]
        step = Step(act.elapsed(), who, what, gas, assurance, tone)
        act.steps.append(step)
        self.console.print(_row(step))
        return step

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A spinner with a text, for anything that may take longer than two seconds."""
        with self.console.status(what):
            yield

    def summary(self) -> Table:
        """One row for each act."""
        table = Table(
            title="What each answer was worth", title_style="bold", title_justify="left", box=SIMPLE
        )
        table.add_column()
        table.add_column("act")
        for heading in ("trust gap", "gas of all steps", "seconds"):
            table.add_column(heading, justify="right", no_wrap=True)
        for number, act in enumerate(self.acts, 1):
            gap = "open" if act.gap is None else "none" if act.gap == 0 else f"{act.gap:.2f} s, insured"
            table.add_row(str(number), act.title, gap, f"{act.gas:,}", f"{act.steps[-1].at:.2f}")
        return table


def _row(step: Step) -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=8, justify="right", style="dim", no_wrap=True)
    row.add_column(width=9, style="bold", no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(width=12, justify="right", no_wrap=True)
    row.add_column(width=7, style=_STYLES[step.tone], no_wrap=True)
    gas = "" if step.gas is None else f"{step.gas:,} gas"
    row.add_row(f"{step.at:.2f} s", step.who, Text(step.what, style=_STYLES[step.tone]), gas, step.assurance)
    return row
