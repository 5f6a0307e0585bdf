"""One journal's database: who may write, and what a failure means."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, Engine, insert, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from foretell_relayer import lease, tables
from foretell_relayer.errors import DamagedJournal
from foretell_relayer.journal.places import READ_ONLY, Place
from foretell_relayer.records import DECIDE


class Database:
    """Transactions that read, and transactions that write: those need the lease, and check it themselves.

    Calls are short and block: nothing may proceed before its line is on the disk anyway.
    """

    def __init__(self, place: Place, engine: Engine, clock: Callable[[], float]) -> None:
        self.place = place
        self._engine = engine
        self._clock = clock
        self._lease: lease.Lease | None = None

    def close(self) -> None:
        """Give the lease back, if we have it, and close."""
        with contextlib.suppress(Exception):
            if self._lease is not None:
                with self._engine.begin() as connection:
                    lease.release(connection, self._lease)
        self._lease = None
        self._engine.dispose()

    def renew(self) -> None:
        """Stay the writer.

        Raises:
            LeaseLost: another relayer took over.
        """
        with self._write() as connection:
            lease.renew(connection, self._held(), self._now(connection))

    def is_held(self) -> bool:
        """Whether a relayer works on it now."""
        with self._read() as connection:
            return lease.is_held(connection, self._now(connection))

    def _now(self, connection: Connection) -> float:
        """The time by which leases run out."""
        return self.place.now(connection, self._clock)

    def _held(self) -> lease.Lease:
        if self._lease is None:
            raise RuntimeError("the journal is open for reading only")
        return self._lease

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with explained(self.place), self._engine.begin() as connection:
            lease.check(connection, self._held())
            yield connection

    @contextlib.contextmanager
    def _post(self) -> Iterator[Connection]:
        """A transaction without the lease: for orders to the writer alone."""
        with explained(self.place), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with explained(self.place), self._engine.connect() as connection:
            yield connection.execution_options(**READ_ONLY)

    def _decide_all(self, connection: Connection) -> None:
        """Put unfinished requests back to be decided."""
        requests = tables.requests
        query = update(requests).where(requests.c.outcome.is_(None))
        connection.execute(query.values(step=DECIDE, wake_at=0, retry_at=0.0))

    def _note(self, connection: Connection, request_id: bytes, what: str, detail: str) -> None:
        values = {"request_id": request_id, "at": self._clock(), "what": what, "detail": detail}
        connection.execute(insert(tables.history).values(**values))


@contextlib.contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turn failures of the database into errors of ours."""
    try:
        yield
    except IntegrityError:
        raise  # a mistake of ours, which no retry mends
    except (DBAPIError, sqlite3.Error) as error:  # the latter where the driver is used directly
        raise place.explain(error) from None
    except UnicodeDecodeError:  # the driver, on a name of the schema
        raise DamagedJournal(f"{place.label}: a text in it is none") from None
