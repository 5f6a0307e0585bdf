"""Orders to the relayer: a mailbox, so that they outlive both sides, and what they decided for good.

Whoever may write to the journal may give orders; nobody else can.
"""

from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from foretell_relayer import tables
from foretell_relayer.journal.database import Database
from foretell_relayer.records import Mode, Order, OrderKind

_MODE: Final = "mode"
_KEPT: Final = 1000
_O, _C = tables.orders.c, tables.control.c


class OrderBook(Database):
    """What the operator asked for, and what was answered."""

    def mode(self) -> Mode:
        """What was decided last."""
        with self._read() as connection:
            found = connection.execute(select(_C.value).where(_C.name == _MODE)).scalar_one_or_none()
            return Mode.OPEN if found is None else Mode(found)

    def set_mode(self, mode: Mode) -> None:
        """Decide, and decide again for every request: what was decided before may not be begun any more."""
        with self._write() as connection:
            connection.execute(delete(tables.control).where(_C.name == _MODE))
            values = {"name": _MODE, "value": mode.value, "at": self._clock()}
            connection.execute(insert(tables.control).values(**values))
            self._decide_all(connection)

    def give(self, kind: OrderKind, argument: str = "") -> int:
        """Put an order into the mailbox, for which no lease is needed; returns its id."""
        values = {"at": self._clock(), "kind": kind.value, "argument": argument}
        with self._post() as connection:
            found: int = connection.execute(
                insert(tables.orders).values(**values).returning(_O.id)
            ).scalar_one()
            return found

    def open_orders(self) -> list[Order]:
        """Orders without an answer, oldest first."""
        return self._orders(_O.answered_at.is_(None))

    def order(self, order_id: int) -> Order | None:
        """One order."""
        found = self._orders(_O.id == order_id)
        return found[0] if found else None

    def answer(self, order: Order, text: str, *, done: bool) -> None:
        """Answer an order, and forget very old ones."""
        values = {"answered_at": self._clock(), "done": done, "answer": text}
        with self._write() as connection:
            connection.execute(update(tables.orders).where(_O.id == order.id).values(**values))
            connection.execute(delete(tables.orders).where(_O.id <= order.id - _KEPT))

    def _orders(self, which: Any) -> list[Order]:
        query = select(tables.orders).where(which).order_by(_O.id)
        with self._read() as connection:
            return [
                Order(row["id"], OrderKind(row["kind"]), row["argument"], row["done"], row["answer"] or "")
                for row in connection.execute(query).mappings()
            ]
