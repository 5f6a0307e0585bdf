"""Merkle Patricia tries (Yellow Paper, appendix D): reads, and many changes at once.

py-evm's ``HexaryTrie`` sets one key after the other and hashes the way to the root each time. A block changes
many keys of one trie; here each node on their ways is read, encoded and hashed once.

No key may be the beginning of another one, as is so for hashes and for the RLP of indices.
"""

from binascii import unhexlify
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import rlp
from eth.constants import BLANK_ROOT_HASH
from eth_hash.auto import keccak

Read = Callable[[bytes], bytes]
"""The encoding of a node by its hash; raises ``KeyError`` where there is none."""

Node = Any
"""``b""``; or a list: 16 children and a value, or a packed path with a value (leaf) or a child (extension).

A child is the hash of its encoding, or the node itself where its encoding is shorter than 32 bytes.
"""

Change = tuple[bytes, bytes]
"""A path, a nibble a byte, and the value there; ``b""`` deletes."""

_BRANCH: Final = 17
_IS_ODD, _IS_LEAF = 1, 2
_DIGITS: Final = b"0123456789abcdef"
_NIBBLE_OF_DIGIT: Final = bytes.maketrans(_DIGITS, bytes(range(16)))
_DIGIT_OF_NIBBLE: Final = bytes.maketrans(bytes(range(16)), _DIGITS)


def get(read: Read, root: bytes, key: bytes) -> bytes:
    """The value of a key; ``b""`` where there is none.

    Raises:
        KeyError: a node is missing.
    """
    if root == BLANK_ROOT_HASH:
        return b""
    path, at = _nibbles(key), 0
    node = decode(read(root))
    while node:
        if len(node) == _BRANCH:
            child = node[path[at]]
            at += 1
        else:
            prefix, is_leaf = _unpacked(node[0])
            if is_leaf:
                return bytes(node[1]) if path[at:] == prefix else b""
            if not path.startswith(prefix, at):
                return b""
            child = node[1]
            at += len(prefix)
        node = decode(read(child)) if isinstance(child, bytes) and child else child
    return b""


def update(read: Read, root: bytes, changes: Mapping[bytes, bytes]) -> tuple[bytes, dict[bytes, bytes]]:
    """The root after changes, and the nodes by hash that come with it. A change to ``b""`` deletes.

    Raises:
        KeyError: a node is missing.
    """
    if not changes:
        return root, {}
    update_ = _Update(read)
    node = update_.load(b"" if root == BLANK_ROOT_HASH else root)
    node = update_.change(node, sorted((_nibbles(key), value) for key, value in changes.items()), 0)
    return update_.close(node), update_.written


def root_of(items: Iterable[bytes]) -> bytes:
    """The root of the trie of a list, as a header has it of its block's transactions and receipts."""
    nothing: dict[bytes, bytes] = {}
    values = {rlp.encode(index): item for index, item in enumerate(items)}
    root, _ = update(nothing.__getitem__, BLANK_ROOT_HASH, values)
    return root


class _Update:
    def __init__(self, read: Read) -> None:
        self._read = read
        self.written: dict[bytes, bytes] = {}

    def load(self, child: Node) -> Node:
        """The node behind a child."""
        if not child or isinstance(child, list):
            return child
        return decode(self.written.get(child) or self._read(child))

    def close(self, node: Node) -> bytes:
        """The hash of the root node."""
        if not node:
            return BLANK_ROOT_HASH
        return self._write(encode(node))

    def _write(self, encoded: bytes) -> bytes:
        hashed = keccak(encoded)
        self.written[hashed] = encoded
        return hashed

    def _child(self, node: Node) -> Node:
        if not node:
            return b""
        encoded = encode(node)
        return node if len(encoded) < 32 else self._write(encoded)

    def change(self, node: Node, changes: Sequence[Change], depth: int) -> Node:
        """The node after changes, sorted by path, which all begin with the ``depth`` nibbles before it."""
        if not node:
            return self._grow([change for change in changes if change[1]], depth)
        if len(node) == _BRANCH:
            return self._change_branch(list(node), changes, depth)
        prefix, is_leaf = _unpacked(node[0])
        if is_leaf:
            merged = {changes[0][0][:depth] + prefix: node[1], **dict(changes)}
            return self._grow(sorted(change for change in merged.items() if change[1]), depth)
        return self._change_extension(prefix, node[1], changes, depth)

    def _grow(self, items: Sequence[Change], depth: int) -> Node:
        """The node that holds these items alone."""
        if not items:
            return b""
        first, last = items[0][0], items[-1][0]
        if len(items) == 1:
            return [_packed(first[depth:], _IS_LEAF), items[0][1]]
        # Sorted: what the first and the last have in common, all have.
        fork = _common(first, last)
        branch: list[Node] = [b""] * _BRANCH
        for nibble, group in groupby(items, lambda item: item[0][fork]):
            branch[nibble] = self._child(self._grow(list(group), fork + 1))
        return self._extended(first[depth:fork], branch)

    def _extended(self, prefix: bytes, node: Node) -> Node:
        """A node that is reached by a longer path."""
        if not prefix or not node:
            return node
        if len(node) == _BRANCH:
            return [_packed(prefix), self._child(node)]
        rest, is_leaf = _unpacked(node[0])
        return [_packed(prefix + rest, _IS_LEAF if is_leaf else 0), node[1]]

    def _change_branch(self, node: list[Node], changes: Sequence[Change], depth: int) -> Node:
        for nibble, group in groupby(changes, lambda change: change[0][depth]):
            node[nibble] = self._child(self.change(self.load(node[nibble]), list(group), depth + 1))
        left = [nibble for nibble, child in enumerate(node) if child]
        if len(left) > 1:
            return node
        return self._extended(bytes(left), self.load(node[left[0]])) if left else b""

    def _change_extension(self, prefix: bytes, child: Node, changes: Sequence[Change], depth: int) -> Node:
        # Sorted: what all have in common with the prefix, the first and the last have.
        common = min(_common(prefix, change[0][depth:]) for change in (changes[0], changes[-1]))
        if common == len(prefix):
            return self._extended(prefix, self.change(self.load(child), changes, depth + common))
        branch: list[Node] = [b""] * _BRANCH
        rest = prefix[common + 1 :]
        branch[prefix[common]] = self._child([_packed(rest), child]) if rest else child
        return self._extended(prefix[:common], self._change_branch(branch, changes, depth + common))


def _common(first: bytes, second: bytes) -> int:
    """How many nibbles two paths begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


def _nibbles(key: bytes) -> bytes:
    return key.hex().encode().translate(_NIBBLE_OF_DIGIT)


def _packed(path: bytes, kind: int = 0) -> bytes:
    head = bytes((kind + _IS_ODD,)) if len(path) % 2 else bytes((kind, 0))
    return unhexlify((head + path).translate(_DIGIT_OF_NIBBLE))


def _unpacked(packed: bytes) -> tuple[bytes, bool]:
    path = _nibbles(packed)
    return path[1:] if path[0] & _IS_ODD else path[2:], bool(path[0] & _IS_LEAF)


# -- RLP of nodes and accounts: a quarter of a block's time with a codec for all types


def encode(items: Sequence[Node]) -> bytes:
    """The RLP of a list of bytes and lists."""
    payload = b"".join([encode(item) if isinstance(item, list) else _encode_bytes(item) for item in items])
    return _head(0xC0, len(payload)) + payload


def _encode_bytes(item: bytes) -> bytes:
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _head(0x80, len(item)) + item


def _head(offset: int, length: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((offset + 55 + len(size),)) + size


def decode(encoded: bytes) -> Node:
    """The list of which this is the RLP. Only for what was encoded here or by py-evm: it checks nothing."""
    return _decode(encoded, 0)[0]


def _decode(data: bytes, at: int) -> tuple[Node, int]:
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    if first < 0xC0:
        start, end = _span(data, at, first - 0x80)
        return data[start:end], end
    start, end = _span(data, at, first - 0xC0)
    items = []
    while start < end:
        item, start = _decode(data, start)
        items.append(item)
    return items, end


def _span(data: bytes, at: int, length: int) -> tuple[int, int]:
    """Where a payload of one byte's ``length`` begins and ends."""
    if length < 56:
        return at + 1, at + 1 + length
    start = at + 1 + length - 55
    return start, start + int.from_bytes(data[at + 1 : start], "big")
