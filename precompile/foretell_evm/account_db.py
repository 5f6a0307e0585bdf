"""Accounts and storage of a state: py-evm's, with reads shared between states and tries changed at once.

A node makes a fresh state for each call, each read and each pre-execution, and py-evm's reads the trie anew
for each. What a trie holds under a key never changes for one root, so it is read once for all states here.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from eth.abc import AccountStorageDatabaseAPI, AtomicDatabaseAPI
from eth.constants import BLANK_ROOT_HASH
from eth.db.account import AccountDB
from eth.db.backends.base import BaseDB
from eth.db.journal import JournalDB
from eth.db.storage import AccountStorageDB, StorageLookup
from eth.rlp.accounts import Account
from eth_hash.auto import keccak
from eth_typing import Address, Hash32
from lru import LRU
from trie import HexaryTrie

from foretell_evm.storage import tries

_KEPT: Final = 16_384

_accounts: "LRU[tuple[bytes, bytes], bytes]" = LRU(_KEPT)
"""Encoded accounts by root of the state and address."""

_slots: "LRU[tuple[bytes, bytes], bytes]" = LRU(_KEPT // 4)
"""Encoded values by root of the storage and slot."""


class SharedAccount(Account):
    """An account that several states hold: nobody changes it, so a copy shares its fields."""

    def copy(self, *_: Any, **changes: Any) -> "SharedAccount":
        """The account with other fields."""
        return SharedAccount(
            changes.get("nonce", self.nonce),
            changes.get("balance", self.balance),
            changes.get("storage_root", self.storage_root),
            changes.get("code_hash", self.code_hash),
        )


_NO_ACCOUNT: Final = SharedAccount()


@lru_cache(_KEPT)
def _decoded(encoded: bytes) -> SharedAccount:
    """The account; nobody's where there is none (``b""``)."""
    if not encoded:
        return _NO_ACCOUNT
    nonce, balance, storage_root, code_hash = tries.decode(encoded)
    return SharedAccount(_number(nonce), _number(balance), storage_root, code_hash)


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def account_at(nodes: Mapping[bytes, bytes], state_root: bytes, address: Address) -> Account:
    """An account of a state, as a fresh :class:`SharedAccountDB` reads it: to be read alone.

    Raises:
        KeyError: a node of the state is missing.
    """
    return _decoded(_read(nodes.__getitem__, state_root, address))


def _read(read: tries.Read, state_root: bytes, address: bytes) -> bytes:
    """An encoded account; ``b""`` where there is none."""
    key = (state_root, address)
    value = _accounts.get(key)
    if value is None:
        value = _accounts[key] = tries.get(read, state_root, keccak(address))
    return value


def _encoded(account: Account) -> bytes:
    numbers = (account.nonce, account.balance)
    words = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in numbers]
    return tries.encode([*words, account.storage_root, account.code_hash])


def _apply(trie: HexaryTrie, changes: Mapping[bytes, bytes]) -> None:
    """Change a trie of py-evm's, whose keys are hashes."""
    hashed = {keccak(key): value for key, value in changes.items()}
    root, nodes = tries.update(trie.db.__getitem__, trie.root_hash, hashed)
    for key, node in nodes.items():
        trie.db[key] = node
    trie.root_hash = root


class _AccountReads(BaseDB):
    """Encoded accounts of the trie's present root; ``b""`` where there is none."""

    def __init__(self, trie: HexaryTrie, missing: Callable[[bytes], bytes]) -> None:
        self._trie = trie
        self._missing = missing

    def __getitem__(self, address: bytes) -> bytes:
        try:
            return _read(self._trie.db.__getitem__, self._trie.root_hash, address)
        except KeyError:
            return self._missing(address)

    def __setitem__(self, address: bytes, value: bytes) -> None:
        raise NotImplementedError("accounts are changed in the journal")

    def __delitem__(self, address: bytes) -> None:
        raise NotImplementedError("accounts are deleted in the journal")

    def reset_cache(self) -> None:
        """Nothing: what is kept is kept by root."""


class _StorageReads(StorageLookup):
    """Encoded values of the storage's present root; ``b""`` where there is none."""

    def __getitem__(self, slot: bytes) -> bytes:
        trie = self._write_trie
        key = (self._starting_root_hash if trie is None else trie.root_hash, slot)
        value = _slots.get(key)
        if value is None:
            read = (self._db if trie is None else trie.db).__getitem__
            try:
                value = tries.get(read, key[0], self._decode_key(slot))
            except KeyError:
                return bytes(super().__getitem__(slot))  # which says what is missing
            _slots[key] = value
        return value

    def apply(self, changes: Mapping[bytes, bytes]) -> None:
        """Change several values; ``b""`` deletes."""
        _apply(self._get_write_trie(), {slot.rjust(32, b"\0"): value for slot, value in changes.items()})


class SharedStorageDB(AccountStorageDB):
    """The storage of one account."""

    def __init__(self, db: AtomicDatabaseAPI, storage_root: Hash32, address: Address) -> None:
        super().__init__(db, storage_root, address)
        self._storage_lookup: _StorageReads = _StorageReads(db, storage_root, address)
        self._storage_cache._db = self._storage_lookup

    def make_storage_root(self) -> None:
        """Bring the storage's trie up to date."""
        self.lock_changes()
        diff = self._locked_changes.diff()
        changes = dict(diff.pending_items()) | dict.fromkeys(diff.deleted_keys(), b"")
        if changes:
            self._storage_lookup.apply(changes)
            self._storage_cache.reset_cache()
        self._locked_changes.reset()


class SharedAccountDB(AccountDB):
    """The accounts of one state."""

    def __init__(self, db: AtomicDatabaseAPI, state_root: Hash32) -> None:
        super().__init__(db, state_root)
        trie: HexaryTrie = self._trie._db
        self._trie_cache: Any = _AccountReads(trie, self._trie.__getitem__)
        self._journaltrie = JournalDB(self._trie_cache)

    def _get_address_store(self, address: Address) -> AccountStorageDatabaseAPI:
        store = self._account_stores.get(address)
        if store is None:
            store = SharedStorageDB(self._raw_store_db, self._get_storage_root(address), address)
            self._account_stores[address] = store
        return store

    def _get_account(self, address: Address, from_journal: bool = True) -> SharedAccount:
        if from_journal and address in self._account_cache:
            return self._account_cache[address]
        account = _decoded(self._get_encoded_account(address, from_journal))
        if from_journal:
            self._account_cache[address] = account
        return account

    def _set_account(self, address: Address, account: Account) -> None:
        self._account_cache[address] = account
        self._journaltrie[address] = _encoded(account)

    def make_state_root(self) -> Hash32:
        """Bring the tries of accounts and storages up to date; the state's root.

        py-evm squashes it from a second trie, and keeps 4096 of those with all that they hold.
        """
        for _, store in self._dirty_account_stores():
            store.make_storage_root()
        for address, storage_root in self._get_changed_roots():
            if self.account_exists(address) or storage_root != BLANK_ROOT_HASH:
                self._set_storage_root(address, storage_root)
        self._journaldb.persist()
        diff = self._journaltrie.diff()
        _apply(self._trie._db, dict(diff.pending_items()) | dict.fromkeys(diff.deleted_keys(), b""))
        self._journaltrie.reset()
        return self.state_root
