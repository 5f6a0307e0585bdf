"""The journal: what was seen, done and signed, written before anything leaves this process.

It is in SQLite, or on a PostgreSQL server where several hosts stand by for one another. One process writes
(``lease``); every write checks that, in the transaction that it makes.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, insert, select

from foretell_relayer import lease, tables
from foretell_relayer.errors import OtherChain
from foretell_relayer.journal import migrating
from foretell_relayer.journal.attempts import AttemptBook
from foretell_relayer.journal.blocks import KEPT_BLOCKS, BlockBook
from foretell_relayer.journal.database import explained
from foretell_relayer.journal.ledger import Ledger
from foretell_relayer.journal.orders import OrderBook
from foretell_relayer.journal.places import place
from foretell_relayer.journal.requests import RequestBook
from foretell_relayer.journal.retention import Retention
from foretell_relayer.records import Identity

__all__ = ["KEPT_BLOCKS", "Journal"]


class Journal(BlockBook, RequestBook, AttemptBook, OrderBook, Ledger, Retention):
    """An open journal. Without ``take`` it can be read only."""

    @classmethod
    def open(cls, where: Path | str, clock: Callable[[], float] = time.time) -> Self:
        """Open a journal, made or brought up to date if need be.

        Args:
            where: a file's path, or a ``postgresql://`` URL.
            clock: the time of the wall, in seconds.

        Raises:
            JournalError: it cannot be used; the leaf says why.
            BadSetting: the URL is malformed.
        """
        found = place(where)
        engine = found.engine()
        try:
            migrating.prepare(found, engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(found, engine, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self) -> int:
        """Become the one writer, put unfinished requests back to be decided, and return the fencing token.

        Raises:
            JournalHeld: another relayer is the writer.
        """
        with explained(self.place), self._engine.begin() as connection:
            self._lease = lease.take(connection, self._now(connection))
            self._decide_all(connection)
        self.drop_reservations()
        return self._lease.token

    def pin(self, identity: Identity) -> None:
        """Bind a new journal to a chain, a contract and an operator; compare an old one.

        Raises:
            OtherChain: it belongs to something else; the message says to what.
        """
        with self._write() as connection:
            known = self.identity_values(connection)
            for name, value in identity.to_values().items():
                if name not in known:
                    connection.execute(insert(tables.identity).values(name=name, value=value))
                elif known[name] != value:
                    what = name.replace("_", " ")
                    raise OtherChain(f"this journal belongs to {what} {known[name]}, not to {value}")

    def identity_values(self, connection: Connection | None = None) -> dict[str, str]:
        """What the journal is pinned to; empty when it is new."""
        query = select(tables.identity)
        with contextlib.nullcontext(connection) if connection is not None else self._read() as reader:
            return {row["name"]: row["value"] for row in reader.execute(query).mappings()}
