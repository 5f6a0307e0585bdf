"""Time to build a block while 100 inferences of two seconds are under way, against none, in one run.

Both chains have the same ready transactions, and the waiting ones come from other senders. Blocks are
built on both in turn, so that whatever else this machine does falls on both alike.

Bar: a ratio of medians of at most 1.05.

Run: ``python scripts/bench/block_building.py``
"""

import itertools
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import click
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak
from web3 import Web3

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.rpc.provider import ForetellProvider
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.operator import InferenceJob
from foretell_spec.tensor import WAD
from scripts.bench._registries import bond, register_model

MAX_RATIO: Final = 1.05
INFERENCE_SECONDS: Final = 2.0
KEY: Final = PrivateKey(keccak(text="slow operator"))


class SlowOperator:
    """Takes two seconds for each answer, from when all questions of a round are asked."""

    address = KEY.public_key.to_checksum_address()
    all_asked = threading.Event()

    def answer(self, job: InferenceJob) -> Bundle:
        """Sleep, and sign a number."""
        self.all_asked.wait()
        time.sleep(INFERENCE_SECONDS)
        bundle = Bundle(job.request_id, job.model_id, job.inputs, (1,), self.address)
        return bundle.signed(KEY, job.chain_id, job.verifying_contract)


def set_up(chain: ForetellChain) -> bytes:
    """Register a model and the operator; the model's id."""
    w3 = Web3(ForetellProvider(chain))
    model_id = register_model(w3)
    bond(w3, KEY)
    chain.add_operator(SlowOperator())
    chain.set_automine(enabled=False)
    return model_id


@contextmanager
def made() -> Iterator[tuple[ForetellChain, bytes]]:
    """A chain with automining off."""
    config = ChainConfig(accounts=100 + _READY_SENDERS, mining=Mining.AUTO)
    with ForetellChain.create(
        replace(config, limits=replace(config.limits, rounds=100, calls_per_operator=128))
    ) as chain:
        yield chain, set_up(chain)


def ask(chain: ForetellChain, model_id: bytes, round_: int, count: int) -> None:
    """One waiting transaction for each of ``count`` senders."""
    for index, account in enumerate(chain.accounts[:-_READY_SENDERS][:count]):
        call = InferCall(model_id, ((round_ * 1000 + index) * WAD,), Assurance.SIGNED)
        message = {"from": account.address, "to": PRECOMPILE, "data": "0x" + encode_infer(call).hex()}
        chain.rpc("eth_sendTransaction", [{**message, "gas": hex(400_000)}])


_READY_SENDERS: Final = 4
_PER_SENDER: Final = 4


def fill(chain: ForetellChain) -> None:
    """Ready transfers."""
    for account in chain.accounts[-_READY_SENDERS:]:
        for _ in range(_PER_SENDER):
            message = {"from": account.address, "to": "0x" + "77" * 20, "value": "0x1", "gas": hex(21_000)}
            chain.rpc("eth_sendTransaction", [message])


def build(chain: ForetellChain) -> float:
    """Seconds for one block of ready transfers."""
    fill(chain)
    begin = time.perf_counter()
    record = chain.mine()
    taken = time.perf_counter() - begin
    if len(record.block.transactions) < _READY_SENDERS * _PER_SENDER:
        raise SystemExit("a block lacks ready transactions")
    return taken


def measure(busy: ForetellChain, idle: ForetellChain, pending: int) -> list[tuple[float, float]]:
    """Times of blocks on both chains, in turn, while all inferences are under way."""
    pairs: list[tuple[float, float]] = []
    while True:
        # Who comes first alternates: what the first leaves in caches helps the second.
        order = (busy, idle) if len(pairs) % 2 else (idle, busy)
        taken = {id(chain): build(chain) for chain in order}
        if len(busy.pool.pending) < pending:
            return pairs
        pairs.append((taken[id(busy)], taken[id(idle)]))


@click.command()
@click.option("--blocks", type=click.IntRange(3), default=40, show_default=True, help="On each chain.")
@click.option(
    "--pending", type=click.IntRange(1), default=100, show_default=True, help="Inferences under way."
)
def main(blocks: int, pending: int) -> None:
    """Compare. Exits 1 where the ratio is over the bar."""
    with made() as (busy, model_id), made() as (idle, _):
        pairs: list[tuple[float, float]] = []
        for round_ in itertools.count():
            SlowOperator.all_asked.clear()
            ask(busy, model_id, round_, pending)
            SlowOperator.all_asked.set()
            pairs += measure(busy, idle, pending)
            if len(pairs) >= blocks:
                break
            while busy.pool.pending:
                time.sleep(0.05)
            busy.mine()
    with_pending, without = zip(*pairs, strict=True)
    busy_ms, idle_ms = (1000 * statistics.median(each) for each in (with_pending, without))
    ratio = busy_ms / idle_ms
    print(
        f"{pending} pending: {busy_ms:.1f} ms, none: {idle_ms:.1f} ms, ratio {ratio:.3f} {len(pairs)} blocks"
    )
    if ratio > MAX_RATIO:
        raise SystemExit(f"over the bar of {MAX_RATIO}")


if __name__ == "__main__":
    main()
