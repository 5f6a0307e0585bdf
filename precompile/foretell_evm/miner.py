"""Making blocks: when a transaction is ready, at intervals, or on demand. Waits for no inference."""

import threading
import time
from collections.abc import Callable

import structlog
from eth.abc import SignedTransactionAPI

from foretell_evm.blocks import BlockRecord
from foretell_evm.builder import BlockBuilder, BuiltBlock
from foretell_evm.config import Mining
from foretell_evm.core import ChainCore

log = structlog.get_logger(__name__)


class Miner:
    """Takes what is ready from the mempool into blocks.

    Args:
        core: the chain.
        left_out: told of each block built, to look after the ready transactions that are not in it.
    """

    def __init__(self, core: ChainCore, left_out: Callable[[BuiltBlock], None]) -> None:
        self._core = core
        self._left_out = left_out
        self._mode = core.config.mining
        self._block_time = core.config.block_time
        self._thread: threading.Thread | None = None

    @property
    def mode(self) -> Mining:
        """When blocks are made."""
        return self._mode

    @property
    def block_time(self) -> float:
        """Seconds between blocks that are made at intervals."""
        return self._block_time

    def mine(self, count: int = 1, interval: int = 0) -> BlockRecord:
        """Make blocks now, whatever is ready in the first; ``interval`` seconds apart where it is not 0."""
        core = self._core
        with core.lock:
            for index in range(count):
                if interval and index:
                    core.clock.space(core.head.header.timestamp + interval)
                self._build()
            return core.head

    def transaction_is_ready(self) -> None:
        """With automining, make blocks until no ready transaction can be in one."""
        with self._core.lock:
            while self._mode is Mining.AUTO and self._candidates():
                if not self._build().record.block.transactions:
                    return

    def set_automine(self, enabled: bool) -> None:
        """Make a block as soon as a transaction is ready, or only on demand."""
        with self._core.lock:
            self._mode = Mining.AUTO if enabled else Mining.MANUAL
            self.transaction_is_ready()

    def set_interval(self, seconds: float) -> None:
        """Make a block every so many seconds; 0 makes them on demand."""
        with self._core.lock:
            self._mode = Mining.INTERVAL if seconds > 0 else Mining.MANUAL
            self._block_time = seconds
            if seconds > 0 and self._thread is None:
                self._thread = threading.Thread(target=self._mine_at_intervals, name="miner", daemon=True)
                self._thread.start()

    def _mine_at_intervals(self) -> None:
        due = time.monotonic()
        while True:
            due = max(due + self._block_time, time.monotonic())
            if self._core.closed.wait(due - time.monotonic()):
                return
            with self._core.lock:
                if self._mode is not Mining.INTERVAL:
                    self._thread = None
                    return
                self._build_or_tell()

    def _build_or_tell(self) -> None:
        """A slot without a block is told, and the next one is tried: a full disk may have space again."""
        try:
            self._build()
        except Exception:  # whatever it is, the slots after it are others; the log gets the traceback
            log.exception("block_missed", after=self._core.head.number)

    def _candidates(self) -> list[SignedTransactionAPI]:
        core = self._core
        if not core.mempool:
            return []
        base_fee = core.pending_header().base_fee_per_gas or 0
        ready = core.mempool.ready(lambda sender: core.account(sender).nonce, base_fee)
        return [transaction for transaction in ready if transaction.max_fee_per_gas >= base_fee]

    def pending(self) -> BlockRecord:
        """The block that would be made now; it is not kept."""
        with self._core.lock:
            record = self._builder().build(self._candidates()).record
            self._core.store.nodes.set_aside()
            return record

    def _builder(self) -> BlockBuilder:
        core = self._core
        parent, limit = core.head, core.config.limits.bundles_per_block
        return BlockBuilder(core.chain, core.pending_header(), parent.state_root, core.source(parent), limit)

    def _build(self) -> BuiltBlock:
        core = self._core
        built = self._builder().build(self._candidates())
        core.clock.used()
        core.departures.used()
        for transaction in built.record.block.transactions:
            core.mempool.remove(transaction.hash)
        core.history.append(built.record, built.computations)
        self._left_out(built)
        core.announce()
        return built
