"""Filters: what a client has not seen yet of blocks, pending transactions and logs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import data, log_json, parse_quantity, quantity
from foretell_evm.rpc.selectors import LogFilter

MAX_FILTERS: Final = 1024
_NOT_FOUND: Final = -32000


@dataclass(slots=True)
class _Filter:
    seen: int
    new: Callable[[int, int], list[Any]]
    log_filter: LogFilter | None = None


class Filters:
    """All filters of one chain. Thread-safe."""

    def __init__(self, chain: ForetellChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._filters: dict[int, _Filter] = {}
        self._ids = count(1)

    def new_block_filter(self) -> str:
        """``eth_newBlockFilter``"""
        return self._add(self._block_hashes)

    def new_pending_filter(self) -> str:
        """``eth_newPendingTransactionFilter``: reports transactions once they are in a block."""
        return self._add(self._transaction_hashes)

    def new_log_filter(self, value: Any) -> str:
        """``eth_newFilter``"""
        log_filter = LogFilter.parse(self._chain, value)
        return self._add(lambda first, last: self._logs(log_filter, first, last), log_filter)

    def changes(self, filter_id: Any) -> list[Any]:
        """``eth_getFilterChanges``"""
        with self._lock:
            found = self._get(filter_id)
            head = self._chain.head.number
            first, found.seen = min(found.seen, head) + 1, head
        return found.new(first, head)

    def logs(self, filter_id: Any) -> list[Any]:
        """``eth_getFilterLogs``"""
        with self._lock:
            found = self._get(filter_id)
        if found.log_filter is None:
            raise RpcError(_NOT_FOUND, "filter is not a log filter")
        return [log_json(record, log) for record, log in found.log_filter.logs(self._chain)]

    def uninstall(self, filter_id: Any) -> bool:
        """``eth_uninstallFilter``"""
        with self._lock:
            return self._filters.pop(parse_quantity(filter_id, "filter"), None) is not None

    def _add(self, new: Callable[[int, int], list[Any]], log_filter: LogFilter | None = None) -> str:
        with self._lock:
            if len(self._filters) >= MAX_FILTERS:
                del self._filters[min(self._filters)]
            number = next(self._ids)
            self._filters[number] = _Filter(self._chain.head.number, new, log_filter)
        return quantity(number)

    def _get(self, filter_id: Any) -> _Filter:
        found = self._filters.get(parse_quantity(filter_id, "filter"))
        if found is None:
            raise RpcError(_NOT_FOUND, "filter not found")
        return found

    def _block_hashes(self, first: int, last: int) -> list[Any]:
        return [data(record.block.hash) for record in self._chain.history.blocks(first, last)]

    def _transaction_hashes(self, first: int, last: int) -> list[Any]:
        records = self._chain.history.blocks(first, last)
        return [data(transaction.hash) for record in records for transaction in record.block.transactions]

    def _logs(self, log_filter: LogFilter, first: int, last: int) -> list[Any]:
        records = self._chain.history.blocks(max(first, log_filter.first), last)
        if log_filter.last is not None:
            records = [record for record in records if record.number <= log_filter.last]
        return [log_json(record, log) for record in records for log in log_filter.match(record)]
