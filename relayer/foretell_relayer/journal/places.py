"""Where a journal is kept: in a SQLite file for one host, or on a PostgreSQL server for several.

A place knows what differs between the two: how to connect, whose clock counts, how to look for damage, to
copy everything before a migration, and to give space back.
"""

import contextlib
import os
import shutil
import sqlite3
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from foretell_relayer.coded import CodedError
from foretell_relayer.errors import BadSetting, DamagedJournal, JournalUnreachable, JournalUnwritable
from foretell_relayer.redact import Redactor, public_url

READ_ONLY: Final = {"foretell_read_only": True}
"""Execution options of a connection that only looks, and so takes no lock that keeps writers out."""

TIMEOUT: Final = 10
"""Seconds to wait for a lock or a server; less than a lease, so that who waits does not lose it for that."""

_DAMAGE: Final = (
    "malformed", "not a database", "no such column", "no such table", "already exists", "could not decode",
)  # fmt: skip
_SQLSTATE_OF_DAMAGE: Final = ("42", "XX")  # tables are missing or of another form; the server found damage
_SQLSTATE_OF_NO_SPACE: Final = ("53", "25006", "58")  # no resources, a read-only server, its disk fails
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_PAGES_AT_ONCE: Final = 2_000


class Place(Protocol):
    """Where a journal is kept."""

    label: str
    """Its name for people, without secrets."""

    def engine(self) -> Engine:
        """Connections to it."""
        ...

    def now(self, connection: Connection, clock: Callable[[], float], /) -> float:
        """The time by which leases run out, in seconds: all who may hold one go by the same clock."""
        ...

    def look_for_damage(self, connection: Connection, /) -> None:
        """Look at every page.

        Raises:
            DamagedJournal: one of them is damaged.
        """
        ...

    def back_up(self, connection: Connection, name: str, /) -> str:
        """Copy everything, under a name that tells why; returns where the copy is."""
        ...

    def give_back(self, engine: Engine, /) -> None:
        """Return some space of deleted rows to the system."""
        ...

    def free_bytes(self) -> int | None:
        """Space that is left beside it; ``None`` where a server looks after that."""
        ...

    def explain(self, error: DBAPIError | sqlite3.Error) -> CodedError:
        """What a failure of the database means."""
        ...


class SqliteFile:
    """A journal in a file, in write-ahead mode; each commit is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label = str(path)

    def engine(self) -> Engine:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalUnwritable(f"{self.path.parent}: {error.strerror}") from None
        engine = create_engine(f"sqlite:///{self.path}", connect_args={"timeout": TIMEOUT})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        return engine

    def now(self, _: Connection, clock: Callable[[], float]) -> float:
        return clock()

    def look_for_damage(self, connection: Connection) -> None:
        for check in ("integrity_check(1)", "foreign_key_check"):
            found = connection.exec_driver_sql(f"PRAGMA {check}").first()
            if found is not None and found[0] != "ok":
                raise DamagedJournal(f"{self.label}: {found[0]}")

    def back_up(self, _: Connection, name: str) -> str:
        copy = self.path.with_name(f"{self.path.name}.{name}")
        partial = copy.with_name(copy.name + ".partial")
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # Another connection, as ours is in the middle of a transaction: both read what is committed.
        source, target = sqlite3.connect(self.path), sqlite3.connect(partial)
        with contextlib.closing(source), contextlib.closing(target):
            source.backup(target)
        _to_disk(partial)
        partial.replace(copy)
        _to_disk(copy.parent)
        return str(copy)

    def give_back(self, engine: Engine) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            mode = connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one()
            if mode == 0:  # a file of an older version: only a whole copy changes the mode
                connection.exec_driver_sql("PRAGMA auto_vacuum=INCREMENTAL")
                connection.exec_driver_sql("VACUUM")
            # It frees a page at each step of the statement, and `execute` takes one step alone.
            driver: Any = connection.connection.driver_connection
            driver.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.path.resolve().parent).free

    def explain(self, error: DBAPIError | sqlite3.Error) -> CodedError:
        text = f"{self.label}: {getattr(error, 'orig', error)}"
        damaged = any(mark in text.lower() for mark in _DAMAGE)
        return DamagedJournal(text) if damaged else JournalUnwritable(text)


class PostgresServer:
    """A journal in a database of its own on a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise BadSetting("--database: a postgresql:// URL is expected") from None
        self._redact = Redactor(url)
        self.label = public_url(url)
        self._arguments = _secured(parsed)
        query = {key: value for key, value in parsed.query.items() if key != "sslmode"}
        self._url = parsed.set(drivername="postgresql+pg8000", query=query)

    def engine(self) -> Engine:
        return create_engine(self._url, connect_args=self._arguments, pool_pre_ping=True)

    def now(self, connection: Connection, _: Callable[[], float]) -> float:
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def look_for_damage(self, _: Connection) -> None:
        """The server looks after its pages itself (checksums, crash recovery)."""

    def back_up(self, connection: Connection, name: str) -> str:
        schema = f"foretell_{name}".replace("-", "_").replace(".", "_")
        if connection.exec_driver_sql(f"SELECT to_regnamespace('{schema}')").scalar_one() is not None:
            connection.exec_driver_sql(f'DROP SCHEMA "{schema}" CASCADE')
        connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        for table in connection.exec_driver_sql(query).scalars().all():
            connection.exec_driver_sql(f'CREATE TABLE "{schema}"."{table}" AS TABLE "{table}"')
        return f"schema {schema}"

    def give_back(self, _: Engine) -> None:
        """The server's autovacuum does."""

    def free_bytes(self) -> int | None:
        return None

    def explain(self, error: DBAPIError | sqlite3.Error) -> CodedError:
        state, text = _sqlstate(error)
        text = f"{self.label}: {self._redact(text)}"
        if state.startswith(_SQLSTATE_OF_DAMAGE):
            return DamagedJournal(text)
        if state.startswith(_SQLSTATE_OF_NO_SPACE):
            return JournalUnwritable(text)
        return JournalUnreachable(text)


def place(where: Path | str) -> Place:
    """The place that a path or a ``postgresql://`` URL names.

    Raises:
        BadSetting: the URL is malformed.
    """
    if isinstance(where, str) and "://" in where:
        return PostgresServer(where)
    return SqliteFile(Path(where))


def _secured(url: URL) -> dict[str, Any]:
    """Arguments of a connection: TLS with a checked certificate, except on this machine or where
    ``sslmode=disable`` says no.
    """
    if url.query.get("sslmode") == "disable" or url.host in (None, *_LOOPBACK):
        return {"timeout": TIMEOUT}
    return {"timeout": TIMEOUT, "ssl_context": ssl.create_default_context()}


def _sqlstate(error: DBAPIError | sqlite3.Error) -> tuple[str, str]:
    """The server's code and message; the driver hands them over in a dictionary."""
    original: Any = getattr(error, "orig", error)
    told: Any = original.args[0] if original is not None and original.args else ""
    if isinstance(told, dict):
        return str(told.get("C", "")), str(told.get("M", ""))
    return "", str(told)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _on_connect(connection: Any, _: Any) -> None:
    # The driver's own transactions begin late and deferred; ours begin at once, so that writers wait.
    connection.isolation_level = None
    # auto_vacuum has an effect on a new file alone.
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        only_reads = READ_ONLY.keys() <= options.keys()
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
