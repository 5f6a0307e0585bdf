"""Accounts as the state trie has them, and proofs (EIP-1186): the trie nodes that lead to them."""

from typing import Any, Final

import rlp
from eth.constants import BLANK_ROOT_HASH
from eth.rlp.accounts import Account
from eth_utils import keccak, to_checksum_address
from trie import HexaryTrie

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_address,
    parse_list,
    parse_quantity,
    quantity,
)
from foretell_evm.rpc.selectors import require_block

MAX_SLOTS: Final = 1024


def get_proof(chain: ForetellChain, address: Any, slots: Any, block: Any = "latest") -> Json:
    """The account of an address after a block, and some of its storage, each with its proof."""
    wanted = parse_address(address)
    given = parse_list(slots, "storage keys")
    if len(given) > MAX_SLOTS:
        raise RpcError(INVALID_PARAMS, f"storage keys: at most {MAX_SLOTS}")
    trie = HexaryTrie(chain.database, require_block(chain, block).state_root)
    key = keccak(wanted)
    account = _account(trie[key])
    return {
        "address": to_checksum_address(wanted),
        "accountProof": _proof(trie, key),
        "balance": quantity(account.balance),
        "codeHash": data(account.code_hash),
        "nonce": quantity(account.nonce),
        "storageHash": data(account.storage_root),
        "storageProof": [_slot(chain, account.storage_root, each) for each in given],
    }


def get_account(chain: ForetellChain, address: Any, block: Any = "latest") -> Json:
    """``eth_getAccount``: the four fields of an account."""
    trie = HexaryTrie(chain.database, require_block(chain, block).state_root)
    account = _account(trie[keccak(parse_address(address))])
    return {
        "balance": quantity(account.balance),
        "nonce": quantity(account.nonce),
        "codeHash": data(account.code_hash),
        "storageRoot": data(account.storage_root),
    }


def _account(encoded: bytes) -> Any:
    return rlp.decode(encoded, sedes=Account) if encoded else Account()


def _slot(chain: ForetellChain, storage_root: bytes, slot: Any) -> Json:
    number = parse_quantity(slot, "storage key")
    trie = HexaryTrie(chain.database, storage_root)
    key = keccak(number.to_bytes(32, "big"))
    stored = trie[key]
    value = int.from_bytes(rlp.decode(stored), "big") if stored else 0
    return {"key": slot, "value": quantity(value), "proof": _proof(trie, key)}


def _proof(trie: HexaryTrie, key: bytes) -> list[str]:
    if trie.root_hash == BLANK_ROOT_HASH:
        return []
    return [data(rlp.encode(node)) for node in trie.get_proof(key)]
