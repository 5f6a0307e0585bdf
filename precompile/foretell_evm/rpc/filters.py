"""Filters: what a client that polls has not seen yet."""

import threading
from itertools import count
from typing import Any, Final

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import data, parse_quantity, quantity
from foretell_evm.rpc.feeds import BlockFeed, Feed, LogFeed, PendingFeed
from foretell_evm.rpc.selectors import LogFilter
from foretell_evm.rpc.views import log_json

MAX_FILTERS: Final = 1024
_NOT_FOUND: Final = -32000


class Filters:
    """All filters of one chain. Thread-safe."""

    def __init__(self, chain: ForetellChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._feeds: dict[int, Feed] = {}
        self._ids = count(1)

    def new_block_filter(self) -> str:
        """``eth_newBlockFilter``"""
        return self._add(BlockFeed(self._chain, lambda record: data(record.block.hash)))

    def new_pending_filter(self) -> str:
        """``eth_newPendingTransactionFilter``"""
        return self._add(PendingFeed(self._chain, lambda entry: data(entry.transaction.hash)))

    def new_log_filter(self, value: Any) -> str:
        """``eth_newFilter``"""
        return self._add(LogFeed(self._chain, LogFilter.parse(self._chain, value)))

    def changes(self, filter_id: Any) -> list[Any]:
        """``eth_getFilterChanges``"""
        with self._lock:
            return self._get(filter_id).new()

    def logs(self, filter_id: Any) -> list[Any]:
        """``eth_getFilterLogs``"""
        with self._lock:
            found = self._get(filter_id)
        if not isinstance(found, LogFeed):
            raise RpcError(_NOT_FOUND, "filter is not a log filter")
        return [log_json(record, log) for record, log in found.log_filter.logs(self._chain)]

    def uninstall(self, filter_id: Any) -> bool:
        """``eth_uninstallFilter``"""
        with self._lock:
            return self._feeds.pop(parse_quantity(filter_id, "filter"), None) is not None

    def _add(self, feed: Feed) -> str:
        with self._lock:
            if len(self._feeds) >= MAX_FILTERS:
                del self._feeds[min(self._feeds)]
            number = next(self._ids)
            self._feeds[number] = feed
        return quantity(number)

    def _get(self, filter_id: Any) -> Feed:
        found = self._feeds.get(parse_quantity(filter_id, "filter"))
        if found is None:
            raise RpcError(_NOT_FOUND, "filter not found")
        return found
