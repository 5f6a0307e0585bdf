"""Following another node: its blocks are checked here, without any model, as they come."""

import threading
from typing import Final

import structlog

from foretell_evm.core import ChainCore
from foretell_evm.errors import BlockRejected, EvmError, UpstreamError
from foretell_evm.importing import ImportedBlock, Importer
from foretell_evm.upstream import Upstream

log = structlog.get_logger(__name__)
_POLL_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class Follower:
    """Imports a node's blocks into a chain, in a thread of its own.

    Stops for good at the first block that breaks a rule (``failure`` says which), and never because the node
    cannot be reached: then it asks again, after longer and longer pauses.

    Args:
        core: the chain, which nothing else may let grow.
        upstream: the node. Closed by :meth:`close`.
    """

    def __init__(self, core: ChainCore, upstream: Upstream) -> None:
        self._core = core
        self._upstream = upstream
        self._importer = Importer(core.config, core.chain, core.checker, core.store, core.history)
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self.failure: EvmError | None = None
        self.stopped = threading.Event()
        """Set when ``failure`` is."""

    @property
    def url(self) -> str:
        """Where the node is."""
        return self._upstream.url

    def start(self) -> None:
        """Follow from the head on.

        Raises:
            BlockRejected: the node's chain is not the one that this chain is the beginning of.
            UpstreamError: the node does not answer.
        """
        self._require_same_chain(0, "genesis")
        self._require_same_chain(min(self._core.head.number, self._upstream.head()), "history")
        self._thread.start()

    def close(self) -> None:
        """Wait for the block that is checked now. The chain is closed already."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_LONGEST_PAUSE_S)
        self._upstream.close()

    def forward(self, raw_transaction: str) -> str:
        """Send a transaction to the node, which alone makes blocks; its hash.

        Raises:
            UpstreamError: the node does not take it.
        """
        with Upstream(self.url) as upstream:
            return str(upstream.call("eth_sendRawTransaction", raw_transaction))

    def _require_same_chain(self, number: int, rule: str) -> None:
        ours = self._core.history.block(number).block.hash
        _, _, theirs = self._upstream.block(number)
        if ours != theirs:
            raise BlockRejected(
                rule, f"block {number} is 0x{ours.hex()} here, and {self.url} has 0x{theirs.hex()}"
            )

    def _run(self) -> None:
        pause = _POLL_S
        while not self._core.closed.wait(pause):
            try:
                self._catch_up()
                pause = _POLL_S
            except UpstreamError as error:
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                log.warning("upstream_unavailable", error=str(error), next_try_in_s=pause)
            except EvmError as error:
                # Whoever runs the node shows it: this thread has nobody to raise it to.
                self.failure = error
                self.stopped.set()
                return

    def _catch_up(self) -> None:
        last = self._upstream.head()
        if last < self._core.head.number:
            # It may be late itself; it may not have another block there.
            self._require_same_chain(last, "history")
        first = self._core.head.number + 1
        for number in range(first, last + 1):
            if self._core.closed.is_set():
                return
            self._import(number)
        if last >= first:
            log.info("blocks_imported", first=first, last=last)

    def _import(self, number: int) -> ImportedBlock:
        block, sidecar, announced = self._upstream.block(number)
        core = self._core
        with core.lock:
            try:
                imported = self._importer.import_block(block, sidecar, announced)
            except BlockRejected as error:
                raise BlockRejected(error.rule, f"block {number}: {error.detail}") from None
            core.announce()
        return imported
