"""Many changes at once give the trie that py-evm's gives one after the other."""

import pytest
import rlp
from eth.constants import BLANK_ROOT_HASH
from eth.db.trie import make_trie_root_and_nodes
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from foretell_evm.storage import tries

# Few keys of few nibbles, so that paths share beginnings, and deletions hit.
keys = st.integers(0, 2**16 - 1).map(lambda number: (number & 0xF0F3).to_bytes(2, "big")) | st.sampled_from(
    [keccak(bytes([index])) for index in range(40)]
).map(lambda key: key[:2])
values = st.sampled_from([b"", b"\x01", b"\x80", b"short", b"a" * 32, b"long" * 40])
rounds = st.lists(st.dictionaries(keys, values, max_size=12), max_size=6)


class Item(bytes):
    def encode(self) -> bytes:
        return bytes(self)


@given(rounds)
def test_update__any_changes__equals_hexary_trie(changes: list[dict[bytes, bytes]]) -> None:
    reference = HexaryTrie({})
    nodes: dict[bytes, bytes] = {}
    root = BLANK_ROOT_HASH
    for several in changes:
        for key, value in several.items():
            reference.set(key, value)
        root, written = tries.update(nodes.__getitem__, root, several)
        nodes |= written
        assert root == reference.root_hash
        assert all(keccak(encoded) == key for key, encoded in written.items())
    for key in {key for several in changes for key in several} | {b"\x12\x34"}:
        assert tries.get(nodes.__getitem__, root, key) == reference.get(key)
    # Nothing that the trie of the last root needs is missing for others.
    for key in {key for several in changes for key in several}:
        assert HexaryTrie(nodes, root).get(key) == reference.get(key)


@given(st.lists(st.binary(min_size=1, max_size=200).map(Item), max_size=300))
def test_root_of__a_list__equals_py_evm(items: list[Item]) -> None:
    assert tries.root_of(items) == make_trie_root_and_nodes(items)[0]


nested = st.recursive(st.binary(max_size=70), lambda each: st.lists(each, max_size=5), max_leaves=30)


@given(st.lists(nested, max_size=20))
def test_encode__any_list__equals_rlp(items: list) -> None:
    assert tries.encode(items) == rlp.encode(items)
    assert tries.decode(tries.encode(items)) == items


def test_get__missing_node__raises() -> None:
    keys_ = [keccak(bytes([index])) for index in range(40)]
    root, _ = tries.update({}.__getitem__, BLANK_ROOT_HASH, dict.fromkeys(keys_, b"v" * 40))
    with pytest.raises(KeyError):
        tries.get({}.__getitem__, root, keys_[0])
