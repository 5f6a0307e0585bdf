"""Figures for Prometheus. Names are part of the interface: the alert rules and the dashboard use them."""

from importlib.metadata import version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from foretell_relayer.core import StepKind

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
GAP_SECONDS = (0, 1, 10, 60, 600, 3_600, 86_400)
NAMESPACE = "foretell_relay"


class Metrics:
    """The figures of one relayer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        kinds: dict[str, Any] = {"registry": self.registry, "namespace": NAMESPACE}
        Info("build", "What runs.", **kinds).info({"version": version("ape-foretell")})
        self._work(kinds)
        self._health(kinds)
        self._money(kinds)

    def _work(self, kinds: dict[str, Any]) -> None:
        self.head = Gauge("head_block", "Newest block seen.", **kinds)
        self.head_time = Gauge("head_timestamp_seconds", "Its time.", **kinds)
        self.read = Gauge("read_block", "Newest block whose events were read.", **kinds)
        self.seen = Counter("requests_seen", "Requests of models that are served here.", **kinds)
        self.closed = Counter("requests_closed", "Requests that ended, by status.", ["status"], **kinds)
        self.sent = Counter("transactions_sent", "Transactions handed to the node.", ["action"], **kinds)
        self.landed = Counter("transactions_ended", "Transactions by their fate.", ["state"], **kinds)
        self.divergences = Counter("divergences", "Outputs of others that differ from ours.", **kinds)
        self.errors = Counter("errors", "Errors that were recovered from.", ["code"], **kinds)
        self.nodes = Gauge("node_up", "Whether a node is asked (1) or put aside (0).", ["node"], **kinds)
        self.infer_seconds = Histogram("infer_seconds", "Running a model.", buckets=SECONDS, **kinds)
        self.prove_seconds = Histogram("prove_seconds", "Proving an output.", buckets=SECONDS, **kinds)
        self.gap_seconds = Histogram(
            "trust_gap_seconds", "From the first use of an output to its settlement.", buckets=GAP_SECONDS,
            **kinds,
        )  # fmt: skip
        self.waiting = Gauge(
            "requests", "Requests by outcome, or by the step that is next.", ["step"], **kinds
        )
        self.bound = Gauge("bound_requests", "Unfinished requests that our bond stands behind.", **kinds)
        self.given_up = Gauge("given_up_requests", "Unfinished requests that were left alone.", **kinds)
        self.deadline = Gauge(
            "deadline_seconds", "Chain time until the next deadline of a request to answer.", **kinds
        )
        self.unresolved = Gauge("unresolved_transactions", "Transactions whose fate is open.", **kinds)
        self.oldest = Gauge("oldest_transaction_seconds", "Age of the oldest one of these.", **kinds)

    def _health(self, kinds: dict[str, Any]) -> None:
        self.ready = Gauge("ready", "1 where /readyz says so.", **kinds)
        self.not_ready = Gauge("not_ready", "1 for each reason of /readyz.", ["reason"], **kinds)
        self.intake = Gauge(
            "intake", "1 for the state that holds: open, paused, draining, closed.", ["state"], **kinds
        )
        self.failures = Counter("stage_failures", "Failures of a stage that passed.", ["stage"], **kinds)
        self.renewed = Gauge("lease_renewed_timestamp_seconds", "When the lease was renewed last.", **kinds)
        self.disk = Gauge("disk_free_bytes", "Free space beside the journal.", **kinds)
        self.models = Gauge("models", "Models that are served.", **kinds)
        self.insecure = Gauge(
            "insecure_models", "Of these, models whose trusted setup was made on one machine.", **kinds
        )

    def _money(self, kinds: dict[str, Any]) -> None:
        self.balance = Gauge("balance_ether", "Balance that pays for gas.", **kinds)
        self.bond = Gauge("bond_ether", "The operator's bond.", **kinds)
        self.locked = Gauge("bond_locked_ether", "The part of it that stands behind open requests.", **kinds)
        self.free_bond = Gauge("bond_free_ether", "The part of it that a delivery may lock now.", **kinds)
        self.credit = Gauge("credit_ether", "Fees and rewards that can be withdrawn.", **kinds)
        self.earned = Gauge("earned_ether", "Fees of requests that ended with our output.", **kinds)
        self.spent = Gauge("spent_ether", "What all transactions cost.", **kinds)
        self.gas = Gauge("spent_gas", "Gas that all transactions used.", **kinds)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)

    def count(self, counts: dict[str, int]) -> None:
        """How many requests there are by outcome or step; a queue that is empty now says so."""
        for step in (kind.value for kind in StepKind):
            self.waiting.labels(step).set(counts.get(step, 0))
        for step, number in counts.items():
            self.waiting.labels(step).set(number)
