"""Pending transactions, as the folder of a chain keeps them for its next start."""

import structlog
from eth.abc import SignedTransactionAPI

from foretell_evm.errors import StoreError
from foretell_evm.mempool import Mempool, Stage
from foretell_evm.storage.store import Store

log = structlog.get_logger(__name__)


class PendingTransactions:
    """What the mempool holds, in the store. Guarded by the chain's lock.

    A chain that ends with its node keeps none. Those of an earlier run stay until they are taken back.
    """

    def __init__(self, store: Store, mempool: Mempool) -> None:
        self._store = store
        self._mempool = mempool
        self._left: dict[bytes, SignedTransactionAPI] = {
            transaction.hash: transaction for transaction in store.pending()
        }
        self._kept: set[bytes] = set(self._left)

    @property
    def left(self) -> tuple[SignedTransactionAPI, ...]:
        """Those of an earlier run that nobody took back yet, in the order in which they came."""
        return tuple(self._left.values())

    def took_back(self, transaction_hash: bytes) -> None:
        """One of an earlier run is in the mempool again, or may not be."""
        del self._left[transaction_hash]

    def save(self) -> None:
        """Let the store hold what the mempool does, but for what comes in just now: nobody was told of it."""
        if self._store.folder is None:
            return
        held = {
            each.transaction.hash: each.transaction for each in self._mempool if each.stage is not Stage.NEW
        }
        wanted = self._left | held
        new = [transaction for key, transaction in wanted.items() if key not in self._kept]
        gone = self._kept - wanted.keys()
        if not new and not gone:
            return
        try:
            self._store.change_pending(new, gone)
        except StoreError as error:
            # The chain goes on, and so do they: only a restart would lose them.
            log.warning("pending_transactions_not_kept", error=str(error))
        else:
            self._kept = set(wanted)
