"""Trie nodes, code and headers by their hash: what py-evm reads states from."""

from collections.abc import Callable, Mapping
from typing import Final

from eth.db.backends.base import BaseDB
from lru import LRU

CACHED: Final = 16_384
"""Nodes that are kept in memory, the least recently used one going first."""

CACHED_CODES: Final = 256
"""Larger values that are kept: code, which may have 24 KiB, and as many of it as nodes would be 400 MB."""

_NODE_BYTES: Final = 640
"""No node of a state has more: a branch is 532 bytes."""


class NodeDB(BaseDB):
    """Values under the keccak256 of what they are, so none ever changes.

    What is written is *fresh* until the block that it belongs to is kept (:meth:`settled`) or is not
    (:meth:`set_aside`). Everybody may read at any time; who writes holds the chain's lock.

    Args:
        find: reads a value that is in the store; ``None`` where there is none.
    """

    def __init__(self, find: Callable[[bytes], bytes | None]) -> None:
        self._find = find
        self._fresh: dict[bytes, bytes] = {}
        self._nodes: LRU[bytes, bytes] = LRU(CACHED)
        self._codes: LRU[bytes, bytes] = LRU(CACHED_CODES)

    @property
    def fresh(self) -> Mapping[bytes, bytes]:
        """What is not in the store yet."""
        return self._fresh

    def settled(self) -> None:
        """What was fresh is in the store now."""
        self.set_aside()

    def set_aside(self) -> None:
        """Keep what is fresh for a while, as of a block that may never be: the store is not to have it."""
        # In this order: whoever reads meanwhile finds a value in one of the two.
        for key, value in self._fresh.items():
            self._keep(key, value)
        self._fresh = {}

    def _keep(self, key: bytes, value: bytes) -> None:
        kept = self._nodes if len(value) <= _NODE_BYTES else self._codes
        kept[key] = value

    def __getitem__(self, key: bytes) -> bytes:
        for kept in (self._fresh, self._nodes, self._codes):
            value = kept.get(key)
            if value is not None:
                return value
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        self._keep(key, found)
        return found

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._fresh[key] = value

    def __delitem__(self, key: bytes) -> None:
        raise NotImplementedError("nodes are kept: an earlier state may need them")

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True
