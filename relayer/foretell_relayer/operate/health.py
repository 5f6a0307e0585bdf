"""Is the relayer alive, and is it ready to earn? Read by health endpoints, metrics and the page."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from foretell_relayer.errors import RelayError, SubmitError
from foretell_relayer.metrics import Metrics
from foretell_relayer.records import Mode

LEASE_PATIENCE: Final = 30.0
"""Seconds without a renewed lease after which the process counts as dead: its loop does not turn."""

LOOK_PATIENCE: Final = 30.0
"""Seconds without a look at the chain, on top of three polls, after which the node counts as gone."""

FAILURE_FRESH: Final = 20.0
"""Seconds for which a stage that failed counts as failing."""

LAG: Final = 50
"""Confirmed blocks that may be unread."""


CLOSED: Final = "closed"
"""State of the intake while money or failures keep new work out."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the relayer is not ready: a stable name, what it means, and what to do."""

    name: str
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Funds:
    """What the operator has, in wei."""

    balance: int
    bond: int
    locked: int
    free: int
    credit: int


@dataclass(slots=True)
class Monitor:
    """What the stages tell of themselves. Times are monotonic seconds."""

    poll: float
    least_balance: int = 0
    least_bond: int = 0
    clock: Callable[[], float] = time.monotonic
    renewed_at: float = 0.0
    looked_at: float | None = None
    confirmed: int = 0
    read: int = 0
    mode: Mode = Mode.OPEN
    refusal: SubmitError | None = None
    insecure: tuple[str, ...] = ()
    funds: Funds | None = None
    _failures: dict[str, tuple[RelayError, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.renewed_at = self.clock()

    def renewed(self) -> None:
        """The lease was renewed."""
        self.renewed_at = self.clock()

    def looked(self, confirmed: int, read: int) -> None:
        """The chain was looked at; the newest confirmed block, and the newest that was read."""
        self.looked_at, self.confirmed, self.read = self.clock(), confirmed, read

    def failed(self, stage: str, error: RelayError) -> None:
        """A stage failed, and goes on."""
        self._failures[stage] = (error, self.clock())

    @property
    def intake(self) -> str:
        """Whether new work is taken: what the operator decided, or ``closed`` where something else is against
        it.
        """
        return CLOSED if self.mode is Mode.OPEN and self.refusal is not None else self.mode.value

    @property
    def failing(self) -> dict[str, RelayError]:
        """Stages that failed a moment ago."""
        now = self.clock()
        return {stage: error for stage, (error, at) in self._failures.items() if now - at < FAILURE_FRESH}

    def is_alive(self) -> bool:
        """Whether the process does what keeps it the one writer."""
        return self.clock() - self.renewed_at < LEASE_PATIENCE

    def reasons(self) -> list[Reason]:
        """Why the relayer is not ready; empty where it is."""
        found = [*self._of_chain(), *self._of_operator()]
        for stage, error in self.failing.items():
            found.append(Reason(f"failing_{stage}", str(error), error.hint or "It is tried again by itself."))
        return found

    def _of_chain(self) -> list[Reason]:
        if self.looked_at is None:
            return [Reason("starting", "the chain was not looked at yet", "Wait, or check the node.")]
        silent = self.clock() - self.looked_at
        if silent > LOOK_PATIENCE + 3 * self.poll:
            text = f"the last look at the chain was {silent:.0f} s ago"
            return [Reason("node", text, "Check the node and --rpc.")]
        if self.confirmed - self.read > LAG:
            text = f"{self.confirmed - self.read} confirmed blocks are unread"
            return [Reason("behind", text, "Wait until it has caught up.")]
        return []

    def _of_operator(self) -> list[Reason]:
        found = []
        if self.mode is Mode.PAUSED:
            found.append(
                Reason("paused", "the operator paused it", "`foretell resume` takes requests again.")
            )
        if self.mode is Mode.DRAINING:
            text = "it is drained, and ends when no bond of ours is at stake"
            found.append(Reason("draining", text, "`foretell resume` takes requests again."))
        if self.refusal is not None:
            text = f"new work is not taken: {self.refusal}"
            found.append(Reason("intake", text, self.refusal.hint))
        if self.funds is not None and self.funds.balance < self.least_balance:
            text = f"{self.funds.balance / 10**18:.6f} ether are left for gas"
            found.append(Reason("funds", text, "Send ether to the relayer's account."))
        if self.funds is not None and self.funds.free < self.least_bond:
            text = f"{self.funds.free / 10**18:.6f} ether of the bond are free"
            found.append(
                Reason("bond", text, "Raise the bond with add_bond(), or wait until requests settle.")
            )
        return found


NAMES: Final = (
    "starting", "node", "behind", "paused", "draining", "intake", "funds", "bond",
    "failing_watch", "failing_decide", "failing_infer", "failing_prove", "failing_submit", "failing_lease",
    "failing_forget", "failing_orders", "failing_books",
)  # fmt: skip
"""Every name that a reason can have."""


def publish(monitor: Monitor, metrics: Metrics) -> None:
    """Show health in the figures."""
    reasons = {reason.name for reason in monitor.reasons()}
    metrics.ready.set(not reasons)
    for name in NAMES:
        metrics.not_ready.labels(name).set(name in reasons)
    for state in (*(mode.value for mode in Mode), CLOSED):
        metrics.intake.labels(state).set(state == monitor.intake)
