"""What the import of a block costs, against executing its transactions and checking its evidence alone.

A chain is built with blocks of transfers, of model calls with signed answers, and of model calls with proven
ones. Each block is imported by a full node; right before, on the same parent, its transactions are executed
and its answers checked with nothing around it. Both halves alternate in one process.

Bar: import at most 1.2 times execution plus evidence.

Run: ``python scripts/bench/block_import.py``
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import rlp

from foretell_cli.devnet import Devnet, development_chain
from foretell_cli.logging import configure_logging
from foretell_evm.blocks import BlockRecord, next_header
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.core import ChainCore
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.importing import Importer
from foretell_evm.resolution import CheckedAnswer, Replay, Resolution, resolving
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance

MAX_RATIO: Final = 1.2
VOLATILITY: Final = Path(__file__).resolve().parents[2] / "models" / "volatility"
_SENDERS: Final = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for one block: all of the import, its execution alone, its evidence alone."""

    whole: float
    execution: float
    evidence: float


def messages(devnet: Devnet, kind: str, count: int) -> Iterator[dict[str, str]]:
    """What the transactions of a block of one kind ask for."""
    (model,) = devnet.models.values()
    samples = model.samples()
    for index in range(count):
        if kind == "transfers":
            yield {"to": f"0x{2**80 + index:040x}", "value": "0x1", "gas": hex(21_000)}
        else:
            assurance = Assurance.PROVEN if kind == "proven" else Assurance.SIGNED
            call = InferCall(model.model_id, tuple(samples[index % len(samples)]), assurance)
            yield {"to": PRECOMPILE, "data": "0x" + encode_infer(call).hex(), "gas": hex(2_000_000)}


def build(devnet: Devnet, kind: str, count: int) -> BlockRecord:
    """A block of ``count`` transactions of one kind."""
    chain = devnet.chain
    for index, message in enumerate(messages(devnet, kind, count)):
        sender = chain.accounts[index % _SENDERS].address
        chain.rpc("eth_sendTransaction", [{"from": sender, **message}])
    while any(entry.stage.value != "ready" for entry in chain.mempool):
        time.sleep(0.05)
    record = chain.mine()
    if len(record.block.transactions) != count:
        raise SystemExit(f"a block of {kind} lacks transactions")
    # Each kind asks anew in its next block.
    chain.pool.forget()
    return record


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def execute(core: ChainCore, parent: BlockRecord, record: BlockRecord, answers: list[CheckedAnswer]) -> None:
    """Run a block's transactions and write their state."""
    header = next_header(parent.header, record.header.timestamp, core.config.coinbase)
    vm = core.executor.vm_at(header, parent.state_root)
    with resolving(Resolution(Replay(answers))):
        for transaction in record.block.transactions:
            vm.state.lock_changes()
            vm.state.apply_transaction(transaction)
    vm.state.persist()
    core.store.nodes.set_aside()


def fresh(core: ChainCore) -> EvidenceChecker:
    """A checker that remembers nothing, as a node's of the block it sees for the first time."""
    return EvidenceChecker(core.config.chain_id, core.config.quorum)


def cost(core: ChainCore, record: BlockRecord) -> Cost:
    """Import a block on top of ``core``, and measure its parts beside it."""
    # Read from its bytes each time: a transaction remembers its sender.
    encoded, parent = rlp.encode(record.block), core.head
    answers: list[CheckedAnswer] = []

    def check() -> None:
        state, checker = core.state(parent), fresh(core)
        answers.extend(
            CheckedAnswer(answer, checker.check_answer(answer, state)) for answer in record.sidecar.answers
        )

    evidence = seconds(check)
    decoded = replace(record, block=rlp.decode(encoded, sedes=type(record.block)))
    execution = seconds(lambda: execute(core, parent, decoded, answers))
    importer = Importer(core.config, core.chain, fresh(core), core.store, core.history)
    whole = seconds(lambda: importer.import_block(encoded, record.sidecar, record.block.hash))
    return Cost(whole, execution, evidence)


@click.command()
@click.option("--blocks", type=click.IntRange(3), default=12, show_default=True, help="Of each kind.")
@click.option("--transactions", type=click.IntRange(1, 14), default=12, show_default=True, help="In a block.")
def main(blocks: int, transactions: int) -> None:
    """Compare. Exits 1 where a ratio is over the bar."""
    configure_logging()
    kinds = ("transfers", "signed", "proven")
    config = ChainConfig(accounts=_SENDERS, genesis_time=1_700_000_000)
    devnet = development_chain([VOLATILITY], config=config)
    devnet.chain.set_automine(enabled=False)
    first = devnet.chain.head.number + 1
    built = [(kind, build(devnet, kind, transactions)) for _ in range(blocks) for kind in kinds]
    earlier = list(devnet.chain.history.blocks(1, first - 1))
    follower = replace(devnet.chain.config, mining=Mining.MANUAL)
    costs: dict[str, list[Cost]] = {kind: [] for kind in kinds}
    with devnet, ForetellChain.create(follower) as chain:
        core = chain._core
        importer = Importer(core.config, core.chain, core.checker, core.store, core.history)
        for record in earlier:
            importer.import_block(rlp.encode(record.block), record.sidecar)
        for kind, record in built:
            costs[kind].append(cost(core, record))
    over = False
    for kind, found in costs.items():
        ratios = [each.whole / (each.execution + each.evidence) for each in found]
        whole, execution, evidence = (
            1000 * statistics.median(values)
            for values in zip(*((each.whole, each.execution, each.evidence) for each in found), strict=True)
        )
        ratio = statistics.median(ratios)
        over = over or ratio > MAX_RATIO
        print(
            f"{kind:<10} import {whole:7.1f} ms, execution {execution:7.1f} ms, evidence {evidence:7.1f} ms, "
            f"ratio {ratio:.3f}"
        )
    if over:
        raise SystemExit(f"over the bar of {MAX_RATIO}")


if __name__ == "__main__":
    main()
