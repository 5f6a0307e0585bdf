"""Transactions: a nonce is reserved before anything is signed, and a signature is kept before it is sent.

So nothing that left this process is unknown to the journal. A reservation without a signature, which a
crash or a signer that failed leaves behind, can be dropped: nobody has seen it.
"""

from collections.abc import Collection, Iterable
from itertools import count
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from foretell_relayer import tables
from foretell_relayer.journal.database import Database
from foretell_relayer.records import PENDING, TAKEN, UNRESOLVED, Attempt, AttemptState, Reservation
from foretell_relayer.signers import SignedTransaction

_A = tables.attempts.c
_UNDER_WAY: Final = PENDING | {AttemptState.RESERVED}


class AttemptBook(Database):
    """Transactions of ours, from the reservation of their nonce to their fate."""

    def reserve(self, request_id: bytes, action: str, chain_nonce: int, fees: tuple[int, int]) -> Reservation:
        """Take the next nonce, and write down what it is for.

        Args:
            request_id: what it is for.
            action: name of the step.
            chain_nonce: number of our transactions in the newest block.
            fees: fee per gas and tip, in wei, that will be signed.
        """
        with self._write() as connection:
            query = select(_A.nonce).where(_A.state.in_(_names(TAKEN)))
            taken = set(connection.execute(query).scalars())
            # The lowest free one: a gap would hold up everything above it.
            nonce = next(each for each in count(chain_nonce) if each not in taken)
            return self._reserve(connection, request_id, action, nonce, fees)

    def reserve_again(self, old: Attempt, action: str, fees: tuple[int, int]) -> Reservation:
        """Write down that another transaction will take an older one's nonce."""
        with self._write() as connection:
            return self._reserve(connection, old.request_id, action, old.nonce, fees)

    def _reserve(
        self, connection: Connection, request_id: bytes, action: str, nonce: int, fees: tuple[int, int]
    ) -> Reservation:
        values = {
            "request_id": request_id,
            "action": action,
            "nonce": nonce,
            "max_fee": str(fees[0]),
            "tip": str(fees[1]),
            "state": AttemptState.RESERVED.value,
            "created_at": self._clock(),
            "misses": 0,
        }
        number = connection.execute(insert(tables.attempts).values(**values).returning(_A.id)).scalar_one()
        return Reservation(number, request_id, action, nonce, *fees)

    def signed(self, reservation: Reservation, signed: SignedTransaction) -> Attempt:
        """Keep a signed transaction; only now may it be sent."""
        values = {"tx_hash": signed.hash, "raw": signed.raw, "state": AttemptState.SIGNED.value}
        with self._write() as connection:
            # After a reorganisation the same transaction may be signed again, with the same hash.
            forget = {"tx_hash": None, "raw": None, "state": AttemptState.DROPPED.value}
            connection.execute(update(tables.attempts).where(_A.tx_hash == signed.hash).values(**forget))
            query = update(tables.attempts).where(_A.id == reservation.id).values(**values)
            row = connection.execute(query.returning(tables.attempts)).mappings().one()
            story = f"{reservation.action} 0x{signed.hash.hex()} nonce {reservation.nonce}"
            self._note(connection, reservation.request_id, "signed", story)
            return _attempt(row)

    def drop_reservations(self) -> None:
        """Give up every nonce that was reserved and never signed for."""
        query = update(tables.attempts).where(_A.state == AttemptState.RESERVED.value)
        with self._write() as connection:
            connection.execute(query.values(state=AttemptState.DROPPED.value))

    def unresolved(self) -> list[Attempt]:
        """Transactions whose fate is open, in order of nonce and age."""
        query = select(tables.attempts).where(_A.state.in_(_names(UNRESOLVED)))
        with self._read() as connection:
            found = connection.execute(query.order_by(_A.nonce, _A.id)).mappings()
            return [_attempt(values) for values in found]

    def has_pending(self, request_id: bytes) -> bool:
        """Whether a transaction for this request may still be on its way."""
        query = select(_A.id).where((_A.request_id == request_id) & _A.state.in_(_names(_UNDER_WAY)))
        with self._read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def attempts(self, request_id: bytes) -> list[Attempt]:
        """All transactions that were signed for a request, oldest first."""
        query = select(tables.attempts).where((_A.request_id == request_id) & _A.tx_hash.is_not(None))
        with self._read() as connection:
            return [_attempt(values) for values in connection.execute(query.order_by(_A.id)).mappings()]

    def mark(self, attempt: Attempt, state: AttemptState, block_number: int | None = None) -> None:
        """Write down what was learnt about a transaction."""
        with self._write() as connection:
            values = {"state": state.value, "block_number": block_number, "misses": 0}
            connection.execute(update(tables.attempts).where(_A.id == attempt.id).values(**values))
            if state is not attempt.state:
                self._note(connection, attempt.request_id, state.value, f"0x{attempt.tx_hash.hex()}")

    def missed(self, attempts: Iterable[Attempt]) -> None:
        """These transactions were looked for and not found."""
        with self._write() as connection:
            for each in attempts:
                query = update(tables.attempts).where(_A.id == each.id)
                connection.execute(query.values(misses=_A.misses + 1))


def _names(states: Collection[AttemptState]) -> list[str]:
    return [state.value for state in states]


def _attempt(values: RowMapping) -> Attempt:
    state = AttemptState(values["state"])
    fees: dict[str, Any] = {name: int(values[name]) for name in ("max_fee", "tip")}
    names = ("id", "tx_hash", "request_id", "action", "nonce", "raw", "created_at", "block_number", "misses")
    return Attempt(state=state, **fees, **{name: values[name] for name in names})
