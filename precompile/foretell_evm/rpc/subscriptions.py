"""``eth_subscribe`` over one WebSocket: feeds whose news the connection sends by itself."""

import secrets
import threading
from typing import Any, Final

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import INVALID_PARAMS, Json, data, parse_flag
from foretell_evm.rpc.feeds import BlockFeed, Feed, LogFeed, PendingFeed, SyncFeed
from foretell_evm.rpc.selectors import LogFilter
from foretell_evm.rpc.views import header_json, transaction_json

MAX_SUBSCRIPTIONS: Final = 128
"""Of one connection."""


class Subscriptions:
    """All subscriptions of one connection. Thread-safe.

    A subscription is silent until :meth:`activate`, so that its id reaches the client before its first news.
    """

    def __init__(self, chain: ForetellChain) -> None:
        self._chain = chain
        self._lock = threading.Lock()
        self._feeds: dict[str, Feed] = {}
        self._silent: set[str] = set()

    def subscribe(self, kind: Any, options: Any = None) -> str:
        """``eth_subscribe``"""
        feed = self._feed(kind, options)
        with self._lock:
            if len(self._feeds) >= MAX_SUBSCRIPTIONS:
                raise RpcError(-32005, f"a connection has at most {MAX_SUBSCRIPTIONS} subscriptions")
            identifier = "0x" + secrets.token_hex(16)
            self._feeds[identifier] = feed
            self._silent.add(identifier)
        return identifier

    def _feed(self, kind: Any, options: Any) -> Feed:
        if kind == "newHeads":
            return BlockFeed(self._chain, _head_json)
        if kind == "logs":
            return LogFeed(self._chain, LogFilter.parse(self._chain, options or {}))
        if kind == "newPendingTransactions":
            if parse_flag(options, "full transactions"):
                return PendingFeed(self._chain, lambda entry: transaction_json(entry.transaction, None))
            return PendingFeed(self._chain, lambda entry: data(entry.transaction.hash))
        if kind == "syncing":
            return SyncFeed()
        raise RpcError(
            INVALID_PARAMS,
            f"subscription {kind!r}: served are newHeads, logs, newPendingTransactions and syncing",
        )

    def unsubscribe(self, identifier: Any) -> bool:
        """``eth_unsubscribe``"""
        with self._lock:
            return isinstance(identifier, str) and self._feeds.pop(identifier, None) is not None

    def activate(self) -> None:
        """Let all subscriptions speak whose ids the client has."""
        with self._lock:
            self._silent.clear()

    def news(self) -> list[Json]:
        """Notifications to send now."""
        with self._lock:
            speaking = [(key, feed) for key, feed in self._feeds.items() if key not in self._silent]
            return [
                {
                    "jsonrpc": "2.0",
                    "method": "eth_subscription",
                    "params": {"subscription": identifier, "result": result},
                }
                for identifier, feed in speaking
                for result in feed.new()
            ]


def _head_json(record: BlockRecord) -> Json:
    return {**header_json(record.header), "hash": data(record.block.hash)}
