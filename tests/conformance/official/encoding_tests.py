"""Tests of tries, of RLP and of transactions' signatures: against what the fork has of its own for them."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import rlp
from eth.constants import BLANK_ROOT_HASH
from eth_keys.exceptions import BadSignature
from eth_utils import ValidationError, keccak

from foretell_evm.storage import tries
from foretell_evm.vm import ForetellVM
from tests.conformance.official.findings import Finding, Json, expect, skip
from tests.conformance.official.values import number, octets
from tests.conformance.wire import ORDER

TRIES: Final = "trie tests"
RLP: Final = "RLP tests"
TRANSACTIONS: Final = "transaction tests"
HALF_ORDER: Final = ORDER // 2
_Pair = tuple[bytes, bytes]


def check_trie(name: str, test: Json, *, hashed: bool) -> Iterator[Finding]:
    """The root of the fork's trie, made in one step and in as many as there are changes."""
    given = test["in"]
    pairs = [_pair(pair, hashed) for pair in (given.items() if isinstance(given, dict) else given)]
    keys = {key for key, _ in pairs}
    if any(one != other and other.startswith(one) for one in keys for other in keys):
        yield skip(TRIES, name, "a key that is the beginning of another one: no trie of a chain has such")
        return
    expected = octets(test["root"])
    yield expect(TRIES, f"{name}, at once", expected, _root([dict(pairs)]))
    yield expect(TRIES, f"{name}, one by one", expected, _root([{key: value} for key, value in pairs]))


def _pair(pair: Sequence[Any], hashed: bool) -> _Pair:
    key, value = (_bytes(each) for each in pair)
    return (keccak(key) if hashed else key), value


def _bytes(value: str | None) -> bytes:
    if value is None:
        return b""
    return octets(value) if value.startswith("0x") else value.encode()


def _root(steps: Sequence[dict[bytes, bytes]]) -> bytes:
    nodes: dict[bytes, bytes] = {}
    root: bytes = BLANK_ROOT_HASH
    for changes in steps:
        root, written = tries.update(nodes.__getitem__, root, changes)
        nodes |= written
    return root


def check_rlp(name: str, test: Json) -> Iterator[Finding]:
    """A list's encoding, and the list again from it."""
    if not isinstance(test["in"], list):
        yield skip(RLP, name, "no list: the fork leaves these to pyrlp")
        return
    items, encoded = _items(test["in"]), octets(test["out"])
    yield expect(RLP, name, encoded, tries.encode(items))
    yield expect(RLP, f"{name}, back", items, tries.decode(encoded))


def _items(value: Any) -> Any:
    if isinstance(value, list):
        return [_items(each) for each in value]
    if isinstance(value, str) and not value.startswith("#"):
        return value.encode()
    big = number(str(value).removeprefix("#"))
    return big.to_bytes((big.bit_length() + 7) // 8, "big")


def check_transaction(name: str, raw: bytes, sender: bytes) -> Iterator[Finding]:
    """Who signed a transaction, and the same bytes again."""
    if not raw[:1] < b"\x7f" and int.from_bytes(rlp.decode(raw)[-1], "big") > HALF_ORDER:
        yield skip(TRANSACTIONS, name, "one of the two signatures of which EIP-2 refuses one")
        return
    try:
        transaction = ForetellVM.get_transaction_builder().decode(raw)
        found = (transaction.encode(), bytes(transaction.sender))
    except (rlp.exceptions.RLPException, ValidationError, BadSignature) as error:
        yield expect(TRANSACTIONS, name, sender, error)
        return
    yield expect(TRANSACTIONS, name, (raw, sender), found)
