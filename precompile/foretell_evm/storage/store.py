"""The database of one chain: SQLite, in a folder of the user's or in a file that nobody else sees.

A block is one transaction of the database, with the trie nodes of its state: a node that is killed finds the
chain as it was after its last whole block. Memory holds caches alone, so it does not grow with the chain.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import rlp
from eth.abc import SignedTransactionAPI

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import StoreError
from foretell_evm.storage.codec import from_pending_row, from_row, to_pending_row, to_row
from foretell_evm.storage.nodes import NodeDB
from foretell_evm.storage.tables import FORMAT, TABLES

FILE_NAME: Final = "chain.sqlite"
_PAGES: Final = 500
"""Blocks that are read at once."""

_INSERT_BLOCK: Final = """
INSERT INTO blocks (number, hash, block, forged, receipts, logs, sidecar, state_root)
VALUES (:number, :hash, :block, :forged, :receipts, :logs, :sidecar, :state_root)
"""
_INSERT_TRANSACTION: Final = "INSERT INTO transactions (hash, number, position) VALUES (?, ?, ?)"
_INSERT_NODE: Final = "INSERT INTO nodes (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
_INSERT_PENDING: Final = "INSERT INTO pending (hash, encoded, forged) VALUES (?, ?, ?)"
_DELETE_PENDING: Final = "DELETE FROM pending WHERE hash = ?"
_SET_FACT: Final = """
INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value
"""
_PAGE: Final = """
SELECT * FROM blocks WHERE number BETWEEN ? AND ? AND logs >= ? ORDER BY number LIMIT ?
"""


class Store:
    """Blocks by number and hash, transactions by hash, trie nodes, what waits for a block, and facts by name.

    Thread-safe; whoever writes holds the chain's lock as well. Every method raises ``StoreError`` where the
    database cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Open the database of a folder, which is made where it is missing; ``None``: a temporary one.

        Raises:
            StoreError: another node uses it, it is none of ours or of another format, or cannot be written.
        """
        self.folder = folder
        self._lock = threading.RLock()
        self._closed = False
        with _telling(folder):
            self._connection = _connect(folder)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        self.nodes = NodeDB(self._node)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; nothing may be asked afterwards."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _prepare(self) -> None:
        # Nobody opens a temporary database again: how to undo a statement need not be on a disk.
        journal = "MEMORY" if self.folder is None else "WAL"
        for pragma in (*_PRAGMAS, f"journal_mode = {journal}"):
            self._connection.execute(f"PRAGMA {pragma}")
        found = self._scalar("PRAGMA user_version")
        if found == 0 and self._scalar("SELECT 1 FROM sqlite_master") is None:
            self._connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT")
        elif found != FORMAT:
            raise _unusable(
                self.folder,
                f"is of format {found}, not {FORMAT}",
                "another version of Foretell wrote it: use that one, or another folder",
            )

    # -- facts

    def fact(self, name: str) -> str | None:
        """What is written under a name."""
        found: str | None = self._scalar("SELECT value FROM facts WHERE name = ?", name)
        return found

    def set_fact(self, name: str, value: str) -> None:
        """Write under a name."""
        with self._writing() as connection:
            connection.execute(_SET_FACT, (name, value))

    # -- blocks

    def append(self, record: BlockRecord) -> None:
        """Keep the next block, and the nodes of its state."""
        number = record.number
        places = [(each.hash, number, index) for index, each in enumerate(record.block.transactions)]
        # py-evm looks headers up by hash, for BLOCKHASH among others.
        self.nodes[record.block.hash] = rlp.encode(record.header)
        with self._writing() as connection:
            connection.execute(_INSERT_BLOCK, to_row(record))
            connection.executemany(_INSERT_TRANSACTION, places)
            connection.executemany(_INSERT_NODE, self.nodes.fresh.items())
        self.nodes.settled()

    def set_state_root(self, number: int, state_root: bytes) -> None:
        """Say which state follows a block: another one than the header's, after development methods."""
        with self._writing() as connection:
            connection.executemany(_INSERT_NODE, self.nodes.fresh.items())
            connection.execute("UPDATE blocks SET state_root = ? WHERE number = ?", (state_root, number))
        self.nodes.settled()

    def truncate(self, number: int) -> None:
        """Drop the blocks behind one."""
        with self._writing() as connection:
            connection.execute("DELETE FROM blocks WHERE number > ?", (number,))

    def head_number(self) -> int | None:
        """Number of the last block; ``None`` before there is one."""
        found: int | None = self._scalar("SELECT max(number) FROM blocks")
        return found

    def block(self, number: int) -> BlockRecord | None:
        """A block by number."""
        found = self._rows("SELECT * FROM blocks WHERE number = ?", number)
        return from_row(found[0]) if found else None

    def blocks(self, first: int, last: int, *, logged: bool = False) -> Iterator[BlockRecord]:
        """Blocks ``first`` to ``last`` as far as they exist; ``logged``: those with logs alone."""
        while first <= last:
            found = self._rows(_PAGE, first, last, int(logged), _PAGES)
            if not found:
                return
            yield from map(from_row, found)
            first = found[-1]["number"] + 1

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the block with a hash."""
        found: int | None = self._scalar("SELECT number FROM blocks WHERE hash = ?", block_hash)
        return found

    def place_of(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Block number and index of an included transaction."""
        found = self._rows("SELECT number, position FROM transactions WHERE hash = ?", transaction_hash)
        return (found[0]["number"], found[0]["position"]) if found else None

    # -- pending transactions

    def pending(self) -> list[SignedTransactionAPI]:
        """Transactions that waited for a block, in the order in which they came."""
        return [from_pending_row(row) for row in self._rows("SELECT * FROM pending ORDER BY arrival")]

    def change_pending(self, new: Iterable[SignedTransactionAPI], gone: Iterable[bytes]) -> None:
        """Keep transactions that wait for a block, and drop others by their hashes."""
        with self._writing() as connection:
            connection.executemany(_DELETE_PENDING, [(key,) for key in gone])
            connection.executemany(_INSERT_PENDING, map(to_pending_row, new))

    # -- inside

    def _node(self, key: bytes) -> bytes | None:
        found: bytes | None = self._scalar("SELECT value FROM nodes WHERE key = ?", key)
        return found

    def _scalar(self, statement: str, *values: Any) -> Any:
        found = self._rows(statement, *values)
        return found[0][0] if found else None

    def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with self._using():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the database."""
        with self._using():
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # which commits, or rolls back
                yield self._connection

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, _telling(self.folder):
            if self._closed:
                raise _unusable(self.folder, "is closed", "the node stops")
            yield


def _connect(folder: Path | None) -> sqlite3.Connection:
    """One connection for all threads: a temporary database is its connection's alone."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, f"cannot be made: {error.strerror}", "name another folder") from None
    # SQLite's name for a file of its own, which is gone with the connection.
    path = "" if folder is None else str(folder / FILE_NAME)
    connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


# A kill loses nothing. A power cut may cost the last blocks, and never the chain.
_PRAGMAS: Final = (
    "locking_mode = EXCLUSIVE",
    "synchronous = NORMAL",
    "foreign_keys = ON",
)


@contextmanager
def _telling(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "locked" in text:
            raise _unusable(folder, "is in use", "another node runs on it; stop that one first") from None
        if "not a database" in text or "malformed" in text:
            raise _unusable(folder, "is damaged, or no database of a chain", "name another folder") from None
        raise _unusable(folder, f"cannot be used: {text}", "is there space, and may it be written?") from None


def _unusable(folder: Path | None, problem: str, hint: str) -> StoreError:
    failure = StoreError(f"{folder or 'the temporary database'} {problem}")
    failure.hint = hint
    return failure
