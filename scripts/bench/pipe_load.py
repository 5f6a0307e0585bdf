"""Blocks keep their time while 1,000 transactions wait for models, and every transaction ends somewhere.

Operators are simulated: an answer takes 1 to 30 seconds, one in twenty fails, one in twenty differs from the
right one; signatures, bonds, evidence, the draw, commit and reveal are real. Half of the transactions ask for
one signature, half for a quorum. All are sent before the first slot.

Two times are told of each block, both from when it was due: until its building began, which is what waiting
questions could delay, and until it is the head, which takes its execution too. The processor time of building
tells how much of that is this machine's other work.

Bar: p99 lateness, execution included, under 5 % of a slot, and no transaction without an end.

Run: ``python scripts/bench/pipe_load.py`` (``--scale 0.05`` for twenty times as fast)
"""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import click
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak
from web3 import Web3

from foretell_evm import miner
from foretell_evm.builder import BlockBuilder, BuiltBlock
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining, PoolLimits
from foretell_evm.rpc.provider import ForetellProvider
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.commitment import seal
from foretell_spec.operator import InferenceJob, Sealed
from foretell_spec.tensor import WAD
from scripts.bench._registries import ETHER, bond, register_model

MAX_LATENESS: Final = 0.05
SHORTEST, LONGEST = 1.0, 30.0
"""Seconds of model time."""
FAILING, DIFFERING = 0.05, 0.05
GAS: Final = 900_000


@dataclass(frozen=True)
class Load:
    """What is tried. ``scale`` multiplies all times, ``slot`` is in seconds before that."""

    requests: int = 1000
    operators: int = 20
    slot: float = 12.0
    scale: float = 1.0

    @property
    def limits(self) -> PoolLimits:
        """Deadline and patience of the pool, scaled as the model times are."""
        return PoolLimits(deadline=600 * self.scale, patience=60 * self.scale)


@dataclass
class Outcome:
    """What came of it. Of each block: seconds until it began and until it was the head, processor time."""

    began: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    dissents: int = 0
    seconds: float = 0.0
    most_pending: int = 0


def quantile(values: Sequence[float], share: float) -> float:
    """What a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class TimedBuilder(BlockBuilder):
    """Notes when each block begins, and what building it takes."""

    began: ClassVar[list[float]] = []
    processor: ClassVar[list[float]] = []

    def build(self, *args: Any, **kwargs: Any) -> BuiltBlock:
        """Build."""
        self.began.append(time.monotonic())
        start = time.thread_time()
        built = super().build(*args, **kwargs)
        self.processor.append(time.thread_time() - start)
        return built


class SimulatedOperator:
    """Sleeps as long as a model would take. What it does to a request follows from both of their hashes."""

    def __init__(self, number: int, scale: float) -> None:
        self.key = PrivateKey(keccak(text=f"simulated operator {number}"))
        self.address = self.key.public_key.to_checksum_address()
        self._number, self._scale = number, scale

    def answer(self, job: InferenceJob) -> Bundle:
        """Sleep, and sign the sum of the inputs, or another number, or fail."""
        dice = keccak(job.request_id + self.key.to_bytes())
        duration, fate = (int.from_bytes(part, "big") / 2**64 for part in (dice[:8], dice[8:16]))
        time.sleep((SHORTEST + (LONGEST - SHORTEST) * duration) * self._scale)
        if fate < FAILING:
            raise RuntimeError("the model does not answer")
        error = 1 + self._number if fate < FAILING + DIFFERING else 0
        outputs = (sum(job.inputs) + error,)
        bundle = Bundle(job.request_id, job.model_id, job.inputs, outputs, self.address)
        return bundle.signed(self.key, job.chain_id, job.verifying_contract)

    def commit(self, job: InferenceJob) -> Sealed:
        """Commit to the same."""
        bundle = self.answer(job)
        commitment, reveal = seal(
            bundle, keccak(bundle.signature), self.key, job.chain_id, job.verifying_contract
        )
        return Sealed(commitment, lambda: reveal)


def sender_key(number: int) -> PrivateKey:
    """A sender's key."""
    return PrivateKey(keccak(text=f"sender {number}"))


class LoadedChain:
    """A chain with a model, bonded operators and funded senders."""

    def __init__(self, load: Load) -> None:
        self.load = load
        senders = [sender_key(number).public_key.to_checksum_address() for number in range(load.requests)]
        endowments = tuple((address, ETHER) for address in senders)
        config = ChainConfig(endowments=endowments, limits=load.limits, mining=Mining.AUTO)
        self.chain = ForetellChain.create(config)
        self.w3 = Web3(ForetellProvider(self.chain))
        self.model_id = register_model(self.w3)
        for number in range(load.operators):
            operator = SimulatedOperator(number, load.scale)
            bond(self.w3, operator.key)
            self.chain.add_operator(operator)
        self.chain.set_automine(enabled=False)

    def raw_transactions(self) -> list[str]:
        """One question of each sender, at ``SIGNED`` and ``AGREED`` in turn."""
        raw: list[str] = []
        for number in range(self.load.requests):
            assurance = Assurance.AGREED if number % 2 else Assurance.SIGNED
            message = {
                "to": PRECOMPILE,
                "data": "0x" + encode_infer(InferCall(self.model_id, (number * WAD,), assurance)).hex(),
                "gas": GAS,
                "nonce": 0,
                "chainId": self.chain.config.chain_id,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 10**9,
            }
            signed = Account.sign_transaction(message, sender_key(number).to_bytes())
            raw.append("0x" + bytes(signed.raw_transaction).hex())
        return raw

    def run(self) -> Outcome:
        """Send everything, make blocks at their slots, and wait until every transaction has ended."""
        outcome, slot = Outcome(), self.load.slot * self.load.scale
        raw = self.raw_transactions()
        hashes = [self.chain.rpc("eth_sendRawTransaction", [each]) for each in raw]
        outcome.most_pending = len(self.chain.pool.pending)
        setattr(miner, "BlockBuilder", TimedBuilder)  # noqa: B010 - a name that the module does not export
        started = time.monotonic()
        watcher = threading.Thread(target=self._watch, args=(outcome.lateness, started, slot), daemon=True)
        watcher.start()
        self.chain.set_interval(slot)
        while len(self.chain.mempool):
            time.sleep(slot)
        self.chain.set_interval(0)
        outcome.seconds = time.monotonic() - started
        for each in hashes:
            why = self.chain.rpc("foretell_why", [each])
            outcome.ends[why.get("reason") or why["status"]] += 1
        outcome.began = [
            began - started - slot * number for number, began in enumerate(TimedBuilder.began, start=1)
        ]
        outcome.processor = list(TimedBuilder.processor)
        outcome.dissents = len(self.chain.pool.dissents())
        return outcome

    def _watch(self, lateness: list[float], started: float, slot: float) -> None:
        """Note when each block came, against ``started`` and whole slots from there."""
        seen, changes = self.chain.head.number, 0
        while not self.chain.is_closed:
            changes = self.chain.wait_for_change(changes, 1.0)
            now, number = time.monotonic(), self.chain.head.number
            if number > seen:
                lateness.append(now - started - slot * (len(lateness) + 1))
                seen = number


def table(load: Load, outcome: Outcome) -> str:
    """What was measured."""
    slot = load.slot * load.scale
    rows: Sequence[tuple[str, str]] = [
        ("transactions", f"{load.requests}, {outcome.most_pending} questions under way when all were sent"),
        ("operators", f"{load.operators} of {load.limits.calls_per_operator} calls each"),
        ("time", f"{outcome.seconds:.1f} s, model times x {load.scale:g}"),
        ("blocks", f"{len(outcome.lateness)}, one every {slot:g} s"),
        ("late until begun", _times(outcome.began, slot)),
        ("late until the head", _times(outcome.lateness, slot)),
        ("processor time", _times(outcome.processor, slot)),
        ("dissents kept", f"{outcome.dissents}"),
        *((f"ended {name}", f"{count}") for name, count in outcome.ends.most_common()),
    ]
    return "\n".join(f"{name:<22} {value}" for name, value in rows)


def _times(values: Sequence[float], slot: float) -> str:
    shares = {"p50": statistics.median(values), "p99": quantile(values, 0.99), "max": max(values)}
    return ", ".join(f"{name} {1000 * each:.0f} ms ({each / slot:.1%})" for name, each in shares.items())


@click.command()
@click.option("--requests", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--operators", type=click.IntRange(3), default=20, show_default=True)
@click.option(
    "--slot", type=click.FloatRange(0.1), default=12.0, show_default=True, help="Seconds, unscaled."
)
@click.option("--scale", type=click.FloatRange(0.001), default=1.0, show_default=True, help="Of all times.")
def main(requests: int, operators: int, slot: float, scale: float) -> None:
    """Run the load. Exits 1 over the bar."""
    load = Load(requests, operators, slot, scale)
    loaded = LoadedChain(load)
    try:
        outcome = loaded.run()
    finally:
        loaded.chain.close()
    print(table(load, outcome))
    if outcome.ends.keys() & {"unknown", "new", "waiting", "ready"}:
        raise SystemExit("a transaction has no end")
    if quantile(outcome.lateness, 0.99) > MAX_LATENESS * slot * scale:
        raise SystemExit(f"over the bar of {MAX_LATENESS:.0%} of a slot")


if __name__ == "__main__":
    main()
