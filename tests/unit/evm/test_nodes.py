"""Trie nodes: fresh until their block is kept, and found wherever they are."""

import pytest

from foretell_evm.storage.nodes import CACHED_CODES, NodeDB

STORED = {b"stored": b"value"}


@pytest.fixture
def asked() -> list[bytes]:
    return []


@pytest.fixture
def nodes(asked: list[bytes]) -> NodeDB:
    def find(key: bytes) -> bytes | None:
        asked.append(key)
        return STORED.get(key)

    return NodeDB(find)


def test_get__stored__is_asked_for_once(nodes: NodeDB, asked: list[bytes]) -> None:
    assert nodes[b"stored"] == nodes[b"stored"] == b"value"
    assert asked == [b"stored"]


def test_get__nowhere__is_a_key_error(nodes: NodeDB) -> None:
    assert b"other" not in nodes
    with pytest.raises(KeyError):
        nodes[b"other"]


def test_set__then_settled__is_fresh_no_more_and_still_found(nodes: NodeDB, asked: list[bytes]) -> None:
    nodes[b"new"] = b"node"
    assert dict(nodes.fresh) == {b"new": b"node"}
    nodes.settled()
    assert not nodes.fresh
    assert nodes[b"new"] == b"node"
    assert not asked


def test_cache__of_many_codes__holds_few_and_the_nodes(nodes: NodeDB, asked: list[bytes]) -> None:
    nodes[b"node"] = b"node"
    for index in range(CACHED_CODES + 1):
        nodes[b"code %d" % index] = bytes(24_576)
    nodes.set_aside()
    assert nodes[b"node"] == b"node"
    assert nodes[b"code %d" % CACHED_CODES] == bytes(24_576)
    assert not asked
    assert b"code 0" not in nodes
    assert asked == [b"code 0"]


def test_set__nothing_at_all__is_found(nodes: NodeDB) -> None:
    nodes[b"empty code"] = b""
    assert nodes[b"empty code"] == b""
    nodes.set_aside()
    assert nodes[b"empty code"] == b""


def test_set_aside__written_again__is_fresh_again(nodes: NodeDB) -> None:
    nodes[b"new"] = b"node"
    nodes.set_aside()
    nodes[b"new"] = b"node"
    assert b"new" in nodes.fresh


def test_delete__anything__is_refused(nodes: NodeDB) -> None:
    with pytest.raises(NotImplementedError):
        del nodes[b"stored"]
