"""What a development chain is made of, with a default for everything."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from eth_typing import ChecksumAddress

from foretell_evm.errors import ConfigError
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.sidecar import MAX_AGREEING

DEV_MNEMONIC: Final = "test test test test test test test test test test test junk"
ETHER: Final = 10**18
GWEI: Final = 10**9
DAY: Final = 86_400
MIN_GAS_LIMIT: Final = 5_000_000
"""Less holds no system contract."""


class Mining(Enum):
    """When blocks are made."""

    AUTO = "auto"  # as soon as a transaction is ready
    INTERVAL = "interval"  # every ``block_time`` seconds
    MANUAL = "manual"  # on evm_mine and anvil_mine alone


@dataclass(frozen=True, slots=True)
class SystemParameters:
    """Constructor arguments of the predeployed contracts. Amounts in wei, times in seconds."""

    min_bond: int = ETHER
    unbonding_period: int = 61 * DAY  # longer than the longest challenge and proof window together
    dispute_bond: int = ETHER // 10
    cancel_delay: int = 60


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Bounds of the mempool and the inference pool. Times in seconds of real time."""

    transactions: int = 4096
    transactions_per_sender: int = 256
    lifetime: float = 3 * 3600.0  # of a transaction in the mempool
    requests: int = 2048  # questions under way
    requests_per_sender: int = 64
    calls_per_operator: int = 16  # answers that one operator works on at once; each takes a thread
    queue_per_operator: int = 1024  # calls that wait for one operator
    bundles_per_block: int = 64
    rounds: int = 24  # pre-executions of one transaction before it is stale
    deadline: float = 120.0  # for one inference from when it is asked for, all operators together
    patience: float = 60.0  # for one operator before the next one is asked too
    answers: int = 4096  # requests whose answers are kept
    unlanded_per_sender: int = 64  # questions of transactions that never came to a block
    forgiven_every: float = 60.0  # one of those


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many operators are asked for an ``AGREED`` answer, and how many must agree: a rule of the chain."""

    executors: int = 3
    agree: int = 2

    def __post_init__(self) -> None:
        if not 2 <= self.agree <= self.executors <= MAX_AGREEING:
            raise ConfigError(
                f"quorum {self.agree} of {self.executors}: at least 2 agree, of at most {MAX_AGREEING}"
            )
        if 2 * self.agree <= self.executors:
            raise ConfigError(f"quorum {self.agree} of {self.executors}: two sides could both have it")


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """A chain with predeployed system contracts and funded accounts.

    ``balance`` and ``base_fee`` are in wei; ``endowments`` are further funded accounts, with their wei.
    ``send_waits`` is how many seconds ``eth_sendRawTransaction`` waits until the transaction is in a block or
    evicted (0: answer at once, as anvil does without automining).
    """

    chain_id: int = 31337
    mnemonic: str = DEV_MNEMONIC
    accounts: int = 10
    balance: int = 10_000 * ETHER
    endowments: tuple[tuple[ChecksumAddress, int], ...] = ()
    gas_limit: int = 30_000_000
    base_fee: int = GWEI
    coinbase: ChecksumAddress = ZERO_ADDRESS
    genesis_time: int | None = None  # None: now
    mining: Mining = Mining.AUTO
    block_time: float = 12.0
    send_waits: float = 0.0
    call_waits: float = 120.0
    system: SystemParameters = field(default_factory=SystemParameters)
    limits: PoolLimits = field(default_factory=PoolLimits)
    quorum: Quorum = field(default_factory=Quorum)
    opengradient: OpenGradientConfig | None = None  # None: those addresses are plain accounts

    def __post_init__(self) -> None:
        if not 0 < self.chain_id < 2**64:
            raise ConfigError(f"chain id {self.chain_id} is not in 1..2**64-1")
        if not 0 <= self.accounts <= 1000:
            raise ConfigError(f"{self.accounts} accounts; at most 1000 can be made")
        if self.block_time <= 0:
            raise ConfigError(f"block time {self.block_time} is not positive")
        if not MIN_GAS_LIMIT <= self.gas_limit < 2**64:
            raise ConfigError(f"gas limit {self.gas_limit} is not in {MIN_GAS_LIMIT}..2**64-1")
