"""What all stages share."""

from dataclasses import dataclass, field, fields

from eth_typing import ChecksumAddress

from foretell_relayer.chain import Chain, Head
from foretell_relayer.clock import Bell
from foretell_relayer.config import Settings
from foretell_relayer.metrics import Metrics
from foretell_relayer.operate.health import Monitor
from foretell_relayer.records import Identity
from foretell_relayer.runner import ModelRunner
from foretell_relayer.signers import Signer
from foretell_relayer.store import Journal
from foretell_relayer.submit.gas import GasUsed


@dataclass(frozen=True, slots=True)
class Bells:
    """Who is woken when there is something to do."""

    watch: Bell = field(default_factory=Bell)
    decide: Bell = field(default_factory=Bell)
    infer: Bell = field(default_factory=Bell)
    prove: Bell = field(default_factory=Bell)
    submit: Bell = field(default_factory=Bell)
    lease: Bell = field(default_factory=Bell)
    forget: Bell = field(default_factory=Bell)
    orders: Bell = field(default_factory=Bell)
    books: Bell = field(default_factory=Bell)


@dataclass(slots=True)
class Context:
    """One relayer: its parts, and the newest block that the watcher saw."""

    settings: Settings
    identity: Identity
    chain: Chain
    journal: Journal
    models: ModelRunner
    signer: Signer
    dispute_bond: int
    metrics: Metrics
    monitor: Monitor
    gas: GasUsed = field(default_factory=GasUsed)
    bells: Bells = field(default_factory=Bells)
    head: Head | None = None
    stopping: bool = False

    @property
    def operator(self) -> ChecksumAddress:
        """The bonded account that we work for."""
        return self.identity.operator

    @property
    def confirmed(self) -> int | None:
        """Number of the newest block that counts as confirmed; ``None`` before the first look."""
        return None if self.head is None else self.head.ref.number - self.settings.confirmations + 1

    def stop(self) -> None:
        """Tell every stage to finish what it is doing."""
        self.stopping = True
        for bell in fields(self.bells):
            getattr(self.bells, bell.name).ring()
