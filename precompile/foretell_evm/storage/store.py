"""The database of one chain: SQLite, in a folder of the user's or in a file that nobody else sees.

A block is one transaction of the database, with the trie nodes of its state: a node that is killed finds the
chain as it was after its last whole block. Memory holds caches alone, so it does not grow with the chain.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import rlp
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    create_engine,
    delete,
    event,
    func,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from foretell_evm.blocks import BlockRecord
from foretell_evm.errors import StoreError
from foretell_evm.storage.codec import from_row, to_row
from foretell_evm.storage.nodes import NodeDB
from foretell_evm.storage.tables import FORMAT, blocks, facts, metadata, nodes, transactions

FILE_NAME: Final = "chain.sqlite"
_PAGES: Final = 500
"""Blocks that are read at once."""


class Store:
    """Blocks by number and hash, transactions by hash, trie nodes, and facts about the chain by name.

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
        self._engine = _engine(folder)
        try:
            self._prepare()
        except BaseException:
            self._engine.dispose()
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
            self._engine.dispose()

    def _prepare(self) -> None:
        with self._writing() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found == 0 and not connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first():
                metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version = {FORMAT}")
            elif found != FORMAT:
                raise _unusable(
                    self.folder,
                    f"is of format {found}, not {FORMAT}",
                    "another version of Foretell wrote it: use that one, or another folder",
                )

    # -- facts

    def fact(self, name: str) -> str | None:
        """What is written under a name."""
        found: str | None = self._scalar(select(facts.c.value).where(facts.c.name == name))
        return found

    def set_fact(self, name: str, value: str) -> None:
        """Write under a name."""
        statement = insert(facts).values(name=name, value=value)
        with self._writing() as connection:
            connection.execute(statement.on_conflict_do_update(set_={"value": value}))

    # -- blocks

    def append(self, record: BlockRecord) -> None:
        """Keep the next block, and the nodes of its state."""
        places = [
            {"hash": transaction.hash, "number": record.number, "position": index}
            for index, transaction in enumerate(record.block.transactions)
        ]
        # py-evm looks headers up by hash, for BLOCKHASH among others.
        self.nodes[record.block.hash] = rlp.encode(record.header)
        with self._writing() as connection:
            connection.execute(insert(blocks), to_row(record))
            if places:
                connection.execute(insert(transactions), places)
            _insert_nodes(connection, self.nodes.fresh)
        self.nodes.settled()

    def set_state_root(self, number: int, state_root: bytes) -> None:
        """Say which state follows a block: another one than the header's, after development methods."""
        with self._writing() as connection:
            _insert_nodes(connection, self.nodes.fresh)
            connection.execute(update(blocks).where(blocks.c.number == number).values(state_root=state_root))
        self.nodes.settled()

    def truncate(self, number: int) -> None:
        """Drop the blocks behind one."""
        with self._writing() as connection:
            connection.execute(delete(blocks).where(blocks.c.number > number))

    def head_number(self) -> int | None:
        """Number of the last block; ``None`` before there is one."""
        found: int | None = self._scalar(select(func.max(blocks.c.number)))
        return found

    def block(self, number: int) -> BlockRecord | None:
        """A block by number."""
        found = self._rows(select(blocks).where(blocks.c.number == number))
        return from_row(found[0]) if found else None

    def blocks(self, first: int, last: int, *, logged: bool = False) -> Iterator[BlockRecord]:
        """Blocks ``first`` to ``last`` as far as they exist; ``logged``: those with logs alone."""
        while first <= last:
            wanted = select(blocks).where(blocks.c.number.between(first, last)).order_by(blocks.c.number)
            if logged:
                wanted = wanted.where(blocks.c.logs > 0)
            found = self._rows(wanted.limit(_PAGES))
            if not found:
                return
            yield from map(from_row, found)
            first = found[-1]["number"] + 1

    def number_of(self, block_hash: bytes) -> int | None:
        """Number of the block with a hash."""
        found: int | None = self._scalar(select(blocks.c.number).where(blocks.c.hash == block_hash))
        return found

    def place_of(self, transaction_hash: bytes) -> tuple[int, int] | None:
        """Block number and index of an included transaction."""
        places = select(transactions.c.number, transactions.c.position)
        found = self._rows(places.where(transactions.c.hash == transaction_hash))
        return (found[0]["number"], found[0]["position"]) if found else None

    # -- inside

    def _node(self, key: bytes) -> bytes | None:
        found: bytes | None = self._scalar(select(nodes.c.value).where(nodes.c.key == key))
        return found

    def _scalar(self, wanted: Select[Any]) -> Any:
        with self._using(), self._engine.connect() as connection:
            return connection.execute(wanted).scalar_one_or_none()

    def _rows(self, wanted: Select[Any]) -> Sequence[RowMapping]:
        with self._using(), self._engine.connect() as connection:
            return connection.execute(wanted).mappings().all()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._using(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock, _telling(self.folder):
            if self._closed:
                raise _unusable(self.folder, "is closed", "the node stops")
            yield


def _insert_nodes(connection: Connection, fresh: Mapping[bytes, bytes]) -> None:
    if fresh:
        rows = [{"key": key, "value": value} for key, value in fresh.items()]
        connection.execute(insert(nodes).on_conflict_do_nothing(), rows)


def _engine(folder: Path | None) -> Engine:
    """An engine with one connection for all threads: a temporary database is its connection's alone."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, f"cannot be made: {error.strerror}", "name another folder") from None
    # SQLite's name for a file of its own, which is gone with the connection.
    path = "" if folder is None else str(folder / FILE_NAME)
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(path, timeout=0, check_same_thread=False),
        poolclass=StaticPool,
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    # A kill loses nothing. A power cut may cost the last blocks, and never the chain.
    for pragma in (
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _telling(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig)
        if "locked" in text:
            raise _unusable(folder, "is in use", "another node runs on it; stop that one first") from None
        if "not a database" in text or "malformed" in text:
            raise _unusable(folder, "is damaged, or no database of a chain", "name another folder") from None
        raise _unusable(folder, f"cannot be used: {text}", "is there space, and may it be written?") from None


def _unusable(folder: Path | None, problem: str, hint: str) -> StoreError:
    failure = StoreError(f"{folder or 'the temporary database'} {problem}")
    failure.hint = hint
    return failure
