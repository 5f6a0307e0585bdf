"""What the import of a block costs, beside its execution and the checks of its evidence.

*Execution* is what no client can leave out between the bytes of a block and believing in it: decode the
block, recover the senders, run the system calls before and after the transactions, run these, make the
receipts, and compute the roots of transactions, receipts and state. It is written down here step by step,
apart from the importer. *Evidence* is the check of each answer, by a checker that knows none.

All else is the import's own: rules of the header, the sidecar, the comparison, what the builder does for
transactions that may have to be left out, the database with its indices, the history, and whatever is done
twice.

Blocks are built of transfers to new accounts, of model calls with signed answers, and of model calls with
proven ones, and imported into a folder. For each block, everything is done once before it is measured, so
that all find the same caches full; then the parts take turns in going first. Seconds are those of the
processor: a commit does not wait for the disk, and others use the machine too. What running the transactions
and writing their state costs alone, without what makes a block of them, is told as well.

Bar: import at most 1.2 times execution plus evidence.

Run: ``python scripts/bench/block_import.py``
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_bytes
from tempfile import TemporaryDirectory
from typing import Final

import click
import rlp
from eth.abc import BlockHeaderAPI, ReceiptAPI

from foretell_cli.devnet import Devnet, development_chain
from foretell_cli.logging import configure_logging
from foretell_evm.blocks import BlockRecord, next_header
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ChainConfig, Mining
from foretell_evm.core import ChainCore
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.importing import Importer
from foretell_evm.resolution import CheckedAnswer, Replay, Resolution, resolving
from foretell_evm.vm import ForetellVM, with_fields
from foretell_spec.abi import InferCall, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.sidecar import Sidecar

MAX_RATIO: Final = 1.2
VOLATILITY: Final = Path(__file__).resolve().parents[2] / "models" / "volatility"
SIZES: Final = {"transfers": (12, 100), "signed": (12, 64), "proven": (12,)}
"""Transactions of a block by kind."""
_SENDERS: Final = 10
_STEP: Final = 10**14
"""By what questions differ: more than one step of the model's scale."""


def messages(devnet: Devnet, kind: str, count: int) -> Iterator[dict[str, str]]:
    """What the transactions of a block of one kind ask for: each asks something else."""
    (model,) = devnet.models.values()
    samples = model.samples()
    for index in range(count):
        if kind == "transfers":
            yield {"to": "0x" + token_bytes(20).hex(), "value": "0x1", "gas": hex(21_000)}
        else:
            assurance = Assurance.PROVEN if kind == "proven" else Assurance.SIGNED
            round_, which = divmod(index, len(samples))
            inputs = tuple(value + round_ * _STEP for value in samples[which])
            call = InferCall(model.model_id, inputs, assurance)
            gas = 2_000_000 if kind == "proven" else 400_000
            yield {"to": PRECOMPILE, "data": "0x" + encode_infer(call).hex(), "gas": hex(gas)}


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
    if any(receipt.state_root != b"\x01" for receipt in record.receipts):
        raise SystemExit(f"a transaction in a block of {kind} failed")
    # Each kind asks anew in its next block.
    chain.pool.forget()
    return record


def execute(
    core: ChainCore, parent: BlockRecord, encoded: bytes, answers: list[CheckedAnswer]
) -> BlockHeaderAPI:
    """Execute a block; its header, as far as execution says."""
    block = rlp.decode(encoded, sedes=ForetellVM.get_block_class())
    start = next_header(parent.header, block.header.timestamp, core.config.coinbase)
    vm = core.executor.vm_at(start, parent.state_root)
    vm.begin_block()
    receipts: list[ReceiptAPI] = []
    gas_used, bloom = 0, 0
    with resolving(Resolution(Replay(answers))):
        for transaction in block.transactions:
            vm.state.lock_changes()
            computation = vm.state.apply_transaction(transaction)
            receipts.append(vm.receipt_after(gas_used, transaction, computation))
            gas_used, bloom = receipts[-1].gas_used, bloom | receipts[-1].bloom
    header = with_fields(vm.get_header(), gas_used=gas_used, bloom=bloom)
    sealed = vm.seal(header, block.transactions, receipts, block.header.extra_data)
    core.store.nodes.set_aside()
    return sealed.header


def run_alone(
    core: ChainCore, parent: BlockRecord, record: BlockRecord, answers: list[CheckedAnswer]
) -> None:
    """Run a block's transactions, whose senders are known, and write their state."""
    header = next_header(parent.header, record.header.timestamp, core.config.coinbase)
    state = core.executor.state_at(header, parent.state_root)
    with resolving(Resolution(Replay(answers))):
        for transaction in record.block.transactions:
            state.lock_changes()
            state.apply_transaction(transaction)
    state.persist()
    core.store.nodes.set_aside()


def check(core: ChainCore, parent: BlockRecord, sidecar: Sidecar) -> list[CheckedAnswer]:
    """Check the evidence of a block's answers."""
    state, checker = core.state(parent), fresh(core)
    return [CheckedAnswer(answer, checker.check_answer(answer, state)) for answer in sidecar.answers]


def fresh(core: ChainCore) -> EvidenceChecker:
    """A checker that remembers nothing, as a node's of the block it sees for the first time."""
    return EvidenceChecker(core.config.chain_id, core.config.quorum)


def seconds(work: Callable[[], object]) -> float:
    """Processor time that it takes."""
    # Nobody's header is the same as the one that another part made a moment ago.
    next_header.cache_clear()
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds for one block: all of the import, its execution, its evidence, its transactions alone."""

    whole: float
    execution: float
    evidence: float
    alone: float

    @property
    def ratio(self) -> float:
        """What the bar is about."""
        return self.whole / (self.execution + self.evidence)


def cost(core: ChainCore, record: BlockRecord, turn: int) -> Cost:
    """Import a block on top of ``core``, and measure its parts beside it."""
    encoded, parent = rlp.encode(record.block), core.head

    def sidecar() -> Sidecar:
        """Read anew each time, as is the block: answers and transactions remember hashes and senders."""
        return Sidecar.from_json(record.sidecar.to_json())

    answers = check(core, parent, sidecar())
    header = execute(core, parent, encoded, answers)
    if header.state_root != record.header.state_root or header.receipt_root != record.header.receipt_root:
        raise SystemExit("execution as measured here does not give the block")
    run_alone(core, parent, record, answers)
    importer = Importer(core.config, core.chain, fresh(core), core.store, core.history)
    given, checked = sidecar(), sidecar()
    parts: list[Callable[[], object]] = [
        lambda: importer.import_block(encoded, given, record.block.hash),
        lambda: execute(core, parent, encoded, answers),
        lambda: check(core, parent, checked),
        lambda: run_alone(core, parent, record, answers),
    ]
    order = [(turn + index) % len(parts) for index in range(len(parts))]
    taken = {index: seconds(parts[index]) for index in order}
    return Cost(*(taken[index] for index in range(len(parts))))


def report(kind: str, count: int, found: list[Cost]) -> float:
    """Print a line; the ratio."""
    ratio = statistics.median(each.ratio for each in found)
    whole, execution, evidence, alone = (
        1000 * statistics.median(getattr(each, name) for each in found)
        for name in ("whole", "execution", "evidence", "alone")
    )
    bare = statistics.median(each.whole / (each.alone + each.evidence) for each in found)
    print(
        f"{kind:<9} {count:>3} a block: import {whole:6.1f} ms, execution {execution:6.1f} ms, evidence "
        f"{evidence:6.1f} ms, ratio {ratio:.3f}; transactions alone {alone:6.1f} ms, ratio {bare:.2f}"
    )
    return ratio


@click.command()
@click.option(
    "--blocks", type=click.IntRange(4), default=16, show_default=True, help="Of each kind and size."
)
@click.option("--kind", "only", type=click.Choice(list(SIZES)), help="Default: all.")
def main(blocks: int, only: str | None) -> None:
    """Compare. Exits 1 where a ratio is over the bar."""
    configure_logging()
    cases = [(kind, size) for kind, sizes in SIZES.items() if only in (None, kind) for size in sizes]
    devnet = development_chain(
        [VOLATILITY], config=ChainConfig(accounts=_SENDERS, genesis_time=1_700_000_000)
    )
    devnet.chain.set_automine(enabled=False)
    first = devnet.chain.head.number + 1
    built = [(case, build(devnet, *case)) for _ in range(blocks) for case in cases]
    earlier = list(devnet.chain.history.blocks(1, first - 1))
    follower = replace(devnet.chain.config, mining=Mining.MANUAL)
    costs: dict[tuple[str, int], list[Cost]] = {case: [] for case in cases}
    with (
        devnet,
        TemporaryDirectory() as folder,
        ForetellChain.create(follower, folder=Path(folder)) as chain,
    ):
        core = chain._core
        importer = Importer(core.config, core.chain, core.checker, core.store, core.history)
        for record in earlier:
            importer.import_block(rlp.encode(record.block), record.sidecar)
        for case, record in built:
            costs[case].append(cost(core, record, len(costs[case])))
    if max([report(*case, found) for case, found in costs.items()]) > MAX_RATIO:
        raise SystemExit(f"over the bar of {MAX_RATIO}")


if __name__ == "__main__":
    main()
