"""What is new since a client last looked: blocks, logs, pending transactions. Filters and subscriptions."""

from collections.abc import Callable
from typing import Any, Protocol

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.mempool import Entry
from foretell_evm.rpc.selectors import LogFilter
from foretell_evm.rpc.views import log_json


class Feed(Protocol):
    """Remembers what it has given."""

    def new(self) -> list[Any]:
        """JSON values that it has not given yet."""
        ...


class BlockFeed:
    """Blocks after the head of now, each as ``show`` writes it."""

    def __init__(self, chain: ForetellChain, show: Callable[[BlockRecord], Any]) -> None:
        self._chain, self._show = chain, show
        self._seen = chain.head.number

    def new(self) -> list[Any]:
        """Blocks that came since; after a revert, those that replaced others are new too."""
        return [self._show(record) for record in self.records()]

    def records(self) -> list[BlockRecord]:
        """The blocks themselves."""
        head = self._chain.head.number
        first, self._seen = min(self._seen, head) + 1, head
        return list(self._chain.history.blocks(first, head))


class LogFeed:
    """Logs that a filter matches, in blocks after the head of now."""

    def __init__(self, chain: ForetellChain, log_filter: LogFilter) -> None:
        self.log_filter = log_filter
        self._blocks = BlockFeed(chain, lambda record: record)

    def new(self) -> list[Any]:
        """Logs that came since."""
        first, last = self.log_filter.first, self.log_filter.last
        return [
            log_json(record, log)
            for record in self._blocks.records()
            if record.number >= first and (last is None or record.number <= last)
            for log in self.log_filter.match(record)
        ]


class PendingFeed:
    """Transactions that the mempool takes from now on, each as ``show`` writes it."""

    def __init__(self, chain: ForetellChain, show: Callable[[Entry], Any]) -> None:
        self._chain, self._show = chain, show
        self._seen = self._last()

    def _last(self) -> int:
        with self._chain.lock:
            return self._chain.mempool.last_arrival

    def new(self) -> list[Any]:
        """Transactions that came since; after a revert the mempool is a new one, and counts from zero."""
        with self._chain.lock:
            mempool = self._chain.mempool
            seen = self._seen if self._seen <= mempool.last_arrival else -1
            entries, self._seen = mempool.arrivals(seen), mempool.last_arrival
        return [self._show(entry) for entry in entries]


class SyncFeed:
    """Beginnings and ends of catching up with a network: a node of this chain has none to catch up with."""

    def new(self) -> list[Any]:
        """Nothing."""
        return []
