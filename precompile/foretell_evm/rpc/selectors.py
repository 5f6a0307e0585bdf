"""Which blocks and logs a client means: block tags, block objects and log filters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from foretell_evm.blocks import BlockRecord, LogRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError, UnknownBlock
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    parse_address,
    parse_data,
    parse_fields,
    parse_list,
    parse_quantity,
)

_HEAD_TAGS: Final = frozenset({"latest", "safe", "finalized", "pending"})
_NOT_FOUND: Final = -32000
MAX_TOPICS: Final = 4
_HASH_TEXT: Final = 66


def find_block(chain: ForetellChain, selector: Any) -> BlockRecord | None:
    """The block of a number, tag, hash or EIP-1898 object, or ``None``; ``pending``: the one being made."""
    if isinstance(selector, str) and len(selector) == _HASH_TEXT:
        selector = {"blockHash": selector}
    if isinstance(selector, dict):
        if "blockHash" in selector:
            return chain.history.block_by_hash(parse_data(selector["blockHash"], "blockHash", 32))
        selector = selector.get("blockNumber", "latest")
    if selector == "pending":
        return chain.pending_record()
    if _is_head(selector):
        return chain.head
    number = 0 if selector == "earliest" else parse_quantity(selector, "block")
    try:
        return chain.history.block(number)
    except UnknownBlock:
        return None


def require_block(chain: ForetellChain, selector: Any) -> BlockRecord:
    """The block of a selector.

    Raises:
        RpcError: there is none.
    """
    found = find_block(chain, selector)
    if found is None:
        raise RpcError(_NOT_FOUND, f"header not found: {selector}")
    return found


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What ``eth_getLogs`` and filters ask for. Empty sets match everything."""

    first: int
    last: int | None  # None: the head, whenever asked
    block_hash: bytes | None
    addresses: frozenset[bytes]
    topics: tuple[frozenset[bytes], ...]

    @classmethod
    def parse(cls, chain: ForetellChain, value: Any) -> "LogFilter":
        """Read a filter object.

        Raises:
            RpcError: it is none, or names both a block hash and a range.
        """
        fields = parse_fields(value, "filter")
        block_hash = fields.get("blockHash")
        if block_hash is not None and ("fromBlock" in fields or "toBlock" in fields):
            raise RpcError(INVALID_PARAMS, "filter: give a block hash or a range, not both")
        last = fields.get("toBlock", "latest")
        return cls(
            first=_number(chain, fields.get("fromBlock", "latest")),
            last=None if _is_head(last) else _number(chain, last),
            block_hash=None if block_hash is None else parse_data(block_hash, "blockHash", 32),
            addresses=_addresses(fields.get("address")),
            topics=_topics(fields.get("topics")),
        )

    def logs(self, chain: ForetellChain) -> list[tuple[BlockRecord, LogRecord]]:
        """Matching logs of the filter's blocks in order.

        Raises:
            RpcError: the block hash is unknown, or the range is upside down.
        """
        return [(record, log) for record in self._blocks(chain) for log in self.match(record)]

    def _blocks(self, chain: ForetellChain) -> Iterable[BlockRecord]:
        if self.block_hash is not None:
            return [require_block(chain, {"blockHash": self.block_hash})]
        last = chain.head.number if self.last is None else self.last
        if self.last is not None and self.first > last:
            raise RpcError(INVALID_PARAMS, f"invalid block range: {self.first} to {last}")
        return chain.history.blocks_with_logs(self.first, last)

    def match(self, record: BlockRecord) -> Iterator[LogRecord]:
        """Matching logs of one block."""
        return (log for log in record.logs if self._matches(log))

    def _matches(self, log: LogRecord) -> bool:
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        pairs = zip(self.topics, log.topics, strict=False)
        return all(not wanted or topic in wanted for wanted, topic in pairs)


def _is_head(selector: Any) -> bool:
    return selector is None or (isinstance(selector, str) and selector in _HEAD_TAGS)


def _number(chain: ForetellChain, selector: Any) -> int:
    if _is_head(selector):
        return chain.head.number
    return 0 if selector == "earliest" else parse_quantity(selector, "block")


def _addresses(value: Any) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    values = value if isinstance(value, list | tuple) else [value]
    return frozenset(bytes(parse_address(each)) for each in values)


def _topics(value: Any) -> tuple[frozenset[bytes], ...]:
    topics = parse_list(value or [], "topics")
    if len(topics) > MAX_TOPICS:
        raise RpcError(INVALID_PARAMS, f"topics: at most {MAX_TOPICS}")
    return tuple(_topic(each) for each in topics)


def _topic(value: Any) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    values = value if isinstance(value, list | tuple) else [value]
    if any(each is None for each in values):
        return frozenset()
    return frozenset(parse_data(each, "topic", 32) for each in values)
