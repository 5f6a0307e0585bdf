"""Snapshots of a chain and its mempool, as ``evm_snapshot`` and ``evm_revert`` use them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from eth.abc import SignedTransactionAPI

from foretell_evm.core import ChainCore
from foretell_evm.mempool import Entry, Eviction
from foretell_spec.reasons import Reason

_START: Final = "start"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    number: int
    state_root: bytes
    pending: tuple[SignedTransactionAPI, ...]
    time_offset: int


class Snapshots:
    """Snapshots by number.

    Args:
        core: the chain.
        advance: pre-executes a transaction that is in the mempool again.
    """

    def __init__(self, core: ChainCore, advance: Callable[[Entry], None]) -> None:
        self._core = core
        self._advance = advance
        self._kept: dict[int, _Snapshot] = {}
        self._count = 0

    def take(self) -> int:
        """Remember the chain and the mempool; the snapshot's number."""
        core = self._core
        with core.lock:
            self._count += 1
            pending = tuple(entry.transaction for entry in core.mempool)
            head = core.head
            self._kept[self._count] = _Snapshot(head.number, head.state_root, pending, core.clock.offset)
            return self._count

    def mark_start(self) -> None:
        """Let :meth:`reset` go back to here, unless an earlier run of a kept chain said where to."""
        core = self._core
        with core.lock:
            if core.store.fact(_START) is None:
                core.store.set_fact(_START, f"{core.head.number} {core.head.state_root.hex()}")

    def reset(self) -> None:
        """Go back to the start, without snapshots, pending transactions and answers."""
        core = self._core
        with core.lock:
            start = core.store.fact(_START)
            genesis = f"0 {core.history.block(0).header.state_root.hex()}"
            number, state_root = (start or genesis).split()
            self._kept.clear()
            self._go_back(int(number), bytes.fromhex(state_root), 0)
            core.pool.forget()

    def _go_back(self, number: int, state_root: bytes, time_offset: int) -> None:
        """Drop the blocks behind one, and everything that waits. The caller holds the lock."""
        core = self._core
        core.history.revert_to(number, state_root)
        core.mempool.clear(Eviction(Reason.DROPPED, "the chain went back to an earlier block"))
        core.clock.restore(time_offset)
        core.announce()

    def revert(self, number: int) -> bool:
        """Go back to a snapshot, which is then used up, as are those after it; ``False`` where there is none.

        Answers of operators stay: they depend on model and input alone.
        """
        core = self._core
        with core.lock:
            snapshot = self._kept.get(number)
            if snapshot is None:
                return False
            self._kept = {key: kept for key, kept in self._kept.items() if key < number}
            self._go_back(snapshot.number, snapshot.state_root, snapshot.time_offset)
        for transaction in snapshot.pending:
            with core.lock:
                entry = core.mempool.add(transaction)
            self._advance(entry)
        core.announce()
        return True
