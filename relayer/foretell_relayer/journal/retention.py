"""Forgetting: closed requests whose time is over, and the space that they took."""

from sqlalchemy import delete, select

from foretell_relayer import tables
from foretell_relayer.journal.database import Database, explained
from foretell_relayer.records import TAKEN

_R, _A, _H = tables.requests.c, tables.attempts.c, tables.history.c
_AT_ONCE = 500
"""Requests that one transaction forgets, so that it stays short."""


class Retention(Database):
    """What is kept for how long."""

    def forget(self, seconds: float) -> int:
        """Delete requests that were closed longer ago than ``seconds``, some at a time; returns how many.

        One with a transaction whose fate is open stays, and so do all lines of the ledger.
        """
        busy = select(_A.request_id).where(_A.state.in_([state.value for state in TAKEN]))
        old = _R.outcome.is_not(None) & (_R.closed_at < self._clock() - seconds)
        query = select(_R.request_id).where(old & _R.request_id.not_in(busy)).limit(_AT_ONCE)
        with self._write() as connection:
            doomed = list(connection.execute(query).scalars())
            for table, column in (
                (tables.history, _H.request_id),
                (tables.attempts, _A.request_id),
                (tables.requests, _R.request_id),
            ):
                connection.execute(delete(table).where(column.in_(doomed)))
        return len(doomed)

    def give_back(self) -> None:
        """Return some of the space that deleted rows took to the system."""
        with explained(self.place):
            self.place.give_back(self._engine)
