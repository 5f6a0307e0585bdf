"""The ledger: how requests ended, what other operators said, what transactions cost; and sums over them.

It stays when requests are forgotten.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, cast, delete, func, insert, select
from sqlalchemy.sql.elements import ColumnElement

from foretell_relayer import tables
from foretell_relayer.core import Facts, Status, StepKind, View
from foretell_relayer.journal.database import Database
from foretell_relayer.records import (
    TAKEN,
    AttemptState,
    Cost,
    Divergence,
    Outcome,
    Row,
    Sums,
    Unpaid,
)
from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.tensor import tensor_hash

if TYPE_CHECKING:
    from foretell_relayer.chain import TransactionReceipt

RECENT: Final = 10_000
"""Newest outcomes over which the histogram of trust gaps is made."""

BUCKETS: Final = (0, 1, 10, 60, 600, 3_600, 86_400)
"""Upper bounds of the histogram's bars, in seconds; one more bar is above them."""

_STAKING: Final = (StepKind.DELIVER.value, StepKind.CHALLENGE.value)
_SETTLED: Final = (AttemptState.CONFIRMED.value, AttemptState.REVERTED.value)
_R, _A = tables.requests.c, tables.attempts.c
_O, _D, _C = tables.outcomes.c, tables.divergences.c, tables.costs.c


class Ledger(Database):
    """What was earned and spent, and who said what."""

    # ------------------------------------------------------------------------------------------- writing

    def ended(self, row: Row, facts: Facts, view: View, operator: str, now: int) -> int | None:
        """Write down how a request ended, once more after a reorganisation; returns the trust gap.

        Args:
            row: the request.
            facts: what never changes of it.
            view: what Settlement says of it at the end.
            operator: who we are.
            now: chain time at which the end was seen.
        """
        gap = trust_gap(facts, view, now)
        mine = view.operator == operator
        values = {
            "request_id": row.request_id,
            "at": self._clock(),
            "status": view.status.name.lower(),
            "operator": view.operator,
            "mine": mine,
            "gap": gap,
            "earned": str(row.found.fee if mine and view.status is Status.FINAL else 0),
        }
        self._put(tables.outcomes, _O.request_id == row.request_id, values)
        return gap

    def diverged(self, row: Row, view: View) -> None:
        """Write down that another operator delivered something else than we compute."""
        values = {
            "request_id": row.request_id,
            "at": self._clock(),
            "model_id": row.found.model_id,
            "operator": view.operator,
            "output_hash": view.output_hash,
            "our_hash": tensor_hash(row.outputs or ()),
        }
        self._put(tables.divergences, _D.request_id == row.request_id, values)

    def paid(self, transaction: Unpaid, receipt: "TransactionReceipt") -> None:
        """Write down what a transaction cost."""
        values = {
            "tx_hash": transaction.tx_hash,
            "request_id": transaction.request_id,
            "at": self._clock(),
            "action": transaction.action,
            "gas": receipt.gas_used,
            "wei": str(receipt.gas_used * receipt.gas_price),
            "success": receipt.success,
        }
        self._put(tables.costs, _C.tx_hash == transaction.tx_hash, values)

    def _put(self, table: Any, which: ColumnElement[bool], values: dict[str, Any]) -> None:
        with self._write() as connection:
            connection.execute(delete(table).where(which))
            connection.execute(insert(table).values(**values))

    # ------------------------------------------------------------------------------------------- reading

    def unpaid(self, limit: int = 50) -> list[Unpaid]:
        """Confirmed transactions whose cost is not in the ledger."""
        query = (
            select(_A.tx_hash, _A.request_id, _A.action)
            .outerjoin_from(tables.attempts, tables.costs, _C.tx_hash == _A.tx_hash)
            .where(_A.state.in_(_SETTLED) & _C.tx_hash.is_(None))
            .limit(limit)
        )
        with self._read() as connection:
            return [Unpaid(*row) for row in connection.execute(query)]

    def bound(self) -> int:
        """Unfinished requests that a transaction of ours staked a bond on, or is about to."""
        staked = (_A.state == AttemptState.CONFIRMED.value) & _A.action.in_(_STAKING)
        under_way = _A.state.in_([state.value for state in TAKEN])
        query = (
            select(func.count(_A.request_id.distinct()))
            .join_from(tables.attempts, tables.requests, _R.request_id == _A.request_id)
            .where(_R.outcome.is_(None) & (staked | under_way))
        )
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def last_earner(self) -> bytes | None:
        """The newest request whose fee was ours, among those that are not forgotten."""
        query = (
            select(_O.request_id)
            .join_from(tables.outcomes, tables.requests, _R.request_id == _O.request_id)
            .where(_O.earned != "0")
            .order_by(_O.at.desc())
        )
        with self._read() as connection:
            return connection.execute(query.limit(1)).scalar_one_or_none()

    def sums(self) -> Sums:
        """Totals over the whole ledger."""
        with self._read() as connection:
            earned, ours = connection.execute(
                select(func.sum(cast(_O.earned, Float)), func.count()).where(_O.mine)
            ).one()
            spent, gas, transactions = connection.execute(
                select(func.sum(cast(_C.wei, Float)), func.sum(_C.gas), func.count(_C.tx_hash))
            ).one()
            count = select(func.count()).select_from(tables.divergences)
            divergences = connection.execute(count).scalar_one()
        return Sums(earned or 0.0, spent or 0.0, int(gas or 0), transactions, ours, divergences)

    def gaps(self) -> list[int]:
        """How many of the newest outcomes had a trust gap in each of ``BUCKETS``, and above."""
        query = select(_O.gap).where(_O.gap.is_not(None)).order_by(_O.at.desc())
        with self._read() as connection:
            return histogram(list(connection.execute(query.limit(RECENT)).scalars()))

    def outcomes(self, limit: int = 50) -> list[Outcome]:
        """How the newest requests ended."""
        query = select(_O.request_id, _O.at, _O.status, _O.mine, _O.gap, _O.earned).order_by(_O.at.desc())
        with self._read() as connection:
            rows = connection.execute(query.limit(limit)).mappings()
            return [Outcome(**{**row, "earned": int(row["earned"])}) for row in rows]

    def divergences(self, limit: int = 50) -> list[Divergence]:
        """The newest differences."""
        query = (
            select(tables.divergences, _R.outcome)
            .outerjoin_from(tables.divergences, tables.requests, _R.request_id == _D.request_id)
            .order_by(_D.at.desc())
        )
        with self._read() as connection:
            return [Divergence(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def costs(self, request_id: bytes | None = None, limit: int = 50) -> list[Cost]:
        """The newest transactions' costs, of one request or of all."""
        query = select(tables.costs).order_by(_C.at.desc()).limit(limit)
        if request_id is not None:
            query = query.where(_C.request_id == request_id)
        with self._read() as connection:
            rows = connection.execute(query).mappings()
            return [Cost(**{**row, "wei": int(row["wei"])}) for row in rows]


def trust_gap(facts: Facts, view: View, now: int) -> int | None:
    """Seconds from a consumer's first use of the output to its settlement: none where it was shown no
    earlier than it was final; ``None`` where there was no output.
    """
    if view.operator == ZERO_ADDRESS or not view.delivered_at:
        return None
    return max(0, now - view.delivered_at) if facts.shown_early else 0


def histogram(gaps: Sequence[int]) -> list[int]:
    """How many gaps are in each of ``BUCKETS``, and above."""
    counts = [0] * (len(BUCKETS) + 1)
    for gap in gaps:
        counts[sum(gap > bound for bound in BUCKETS)] += 1
    return counts
