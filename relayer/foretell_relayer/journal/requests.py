"""What is to be done for each request, and what was done."""

import json
from collections.abc import Collection
from itertools import takewhile
from typing import Any, Final

from eth_typing import ChecksumAddress
from sqlalchemy import Connection, RowMapping, Select, func, select, update

from foretell_relayer import tables
from foretell_relayer.core import Step, StepKind
from foretell_relayer.errors import DamagedJournal
from foretell_relayer.journal.database import Database
from foretell_relayer.journal.sums import checksum
from foretell_relayer.records import DECIDE, Found, HistoryEntry, Queued, Row
from foretell_spec.assurance import Assurance
from foretell_spec.tensor import Tensor

LONGEST_SLEEP: Final = 600.0
"""Seconds of wall clock that no pause after a failure exceeds: a request that should sleep longer than that
met a clock which was set back."""

FAILURES: Final = frozenset({"infer_failed", "prove_failed", "reverted"})
SUCCESSES: Final = frozenset({"proven", "included", "confirmed"})
"""Lines of the story that speak for or against what we do ourselves."""

_HURRIED: Final = (StepKind.INFER.value, StepKind.DELIVER.value, StepKind.DELIVER_PROVEN.value)
_R = tables.requests.c


class RequestBook(Database):
    """Requests, each in the queue of its next step."""

    def due(self, chain_time: int) -> list[Row]:
        """Requests to decide now, those with the earliest deadline first."""
        now = self._clock()
        rested = (_R.retry_at <= now) | (_R.retry_at > now + LONGEST_SLEEP)
        return self._rows(_unfinished().where((_R.step == DECIDE) & (_R.wake_at <= chain_time) & rested))

    def in_step(self, kinds: Collection[StepKind]) -> list[Row]:
        """Requests that stand in the queues of these steps, those with the earliest deadline first."""
        return self._rows(_unfinished().where(_R.step.in_([kind.value for kind in kinds])))

    def get(self, request_id: bytes) -> Row | None:
        """One request."""
        rows = self._rows(select(tables.requests).where(_R.request_id == request_id))
        return rows[0] if rows else None

    def rows(self, limit: int = 50) -> list[Row]:
        """The newest requests."""
        return self._rows(select(tables.requests).order_by(_R.block_number.desc()).limit(limit))

    def ids(self) -> list[bytes]:
        """Ids of all requests."""
        with self._read() as connection:
            return list(connection.execute(select(_R.request_id)).scalars())

    def queue(self, limit: int = 100) -> list[Queued]:
        """Requests that have not ended, those with the earliest deadline first."""
        columns = (
            _R.request_id,
            _R.model_id,
            _R.step,
            _R.why,
            _R.min_assurance,
            _R.deadline,
            _R.from_receipt,
        )
        query = select(*columns, _R.fee).where(_R.outcome.is_(None)).order_by(_R.deadline, _R.block_number)
        with self._read() as connection:
            return [_queued(values) for values in connection.execute(query.limit(limit)).mappings()]

    def given_up(self, tries: int) -> int:
        """How many requests that have not ended failed ``tries`` times, in the model or in its proof."""
        failed = (_R.infer_failures >= tries) | (_R.prove_failures >= tries)
        query = select(func.count()).select_from(tables.requests).where(_R.outcome.is_(None) & failed)
        with self._read() as connection:
            return int(connection.execute(query).scalar_one())

    def next_deadline(self, now: int) -> int | None:
        """Chain time of the earliest deadline, not before ``now``, of a request that we are answering."""
        hurried = _R.step.in_(_HURRIED) & _R.from_receipt.is_(False) & (_R.deadline >= now)
        query = select(func.min(_R.deadline)).where(_R.outcome.is_(None) & hurried)
        with self._read() as connection:
            found: int | None = connection.execute(query).scalar_one()
            return found

    def counts(self) -> dict[str, int]:
        """How many requests there are by outcome, or by queue where there is no outcome yet."""
        label = func.coalesce(_R.outcome, _R.step)
        with self._read() as connection:
            rows = connection.execute(select(label, func.count()).group_by(label))
            return {row[0]: row[1] for row in rows}

    def history(self, request_id: bytes) -> list[HistoryEntry]:
        """What happened to a request, oldest first."""
        table = tables.history
        query = select(table).where(table.c.request_id == request_id).order_by(table.c.id)
        with self._read() as connection:
            rows = connection.execute(query).mappings()
            return [HistoryEntry(row["at"], row["what"], row["detail"]) for row in rows]

    def failing(self, among: int = 500) -> tuple[int, float]:
        """How many requests failed here since the last success, among the newest lines of the story, and when
        the newest of them did (wall clock; zero where none did).
        """
        table = tables.history
        newest = select(table).order_by(table.c.id.desc()).limit(among)
        with self._read() as connection:
            lines = connection.execute(newest).mappings().all()
        told = takewhile(lambda line: line["what"] not in SUCCESSES, lines)
        failed = [line for line in told if line["what"] in FAILURES]
        return len({line["request_id"] for line in failed}), failed[0]["at"] if failed else 0.0

    def decide(self, row: Row, step: Step) -> None:
        """Put a request into the queue of its next step, or let it sleep, or close it."""
        values: dict[str, Any] = {"why": step.why}
        if step.kind is StepKind.DONE:
            end = {"outcome": step.why.lower(), "closed_at": self._clock()}
            values |= {"step": step.kind.value, "proof": None, **end}
        elif step.kind is StepKind.WAIT:
            values |= {"step": DECIDE, "wake_at": step.until}
        else:
            values |= {"step": step.kind.value, "wake_at": 0}
        with self._write() as connection:
            self._update(connection, row.request_id, values)
            if row.why != step.why:
                self._note(connection, row.request_id, step.kind.value, step.why)

    def again(self, request_id: bytes) -> None:
        """Decide again, at once."""
        with self._write() as connection:
            self._update(
                connection, request_id, {"step": DECIDE, "wake_at": 0, "retry_at": 0.0, "failures": 0}
            )

    def replay(self, request_id: bytes) -> bool:
        """Forget what was tried and computed for a request, and decide from the beginning; transactions that
        are under way stay so. Returns whether there is such a request.
        """
        again: dict[str, Any] = {"step": DECIDE, "wake_at": 0, "retry_at": 0.0, "failures": 0}
        fresh = again | dict.fromkeys(("infer_failures", "prove_failures"), 0)
        fresh |= dict.fromkeys(("outputs", "outputs_sum", "proof", "outcome", "closed_at"))
        with self._write() as connection:
            query = update(tables.requests).where(_R.request_id == request_id).values(**fresh)
            known = connection.execute(query).rowcount > 0
            if known:
                self._note(connection, request_id, "replayed", "")
        return known

    def later(self, request_id: bytes, what: str, detail: str, seconds: float) -> None:
        """A step failed: decide again after ``seconds``, at most ``LONGEST_SLEEP``."""
        retry_at = self._clock() + min(seconds, LONGEST_SLEEP)
        with self._write() as connection:
            values = {"step": DECIDE, "wake_at": 0, "retry_at": retry_at, "failures": _R.failures + 1}
            self._update(connection, request_id, values)
            self._note(connection, request_id, what, detail)

    def answered(self, request_id: bytes, outputs: Tensor) -> None:
        """Our own output for a request."""
        text = json.dumps(list(outputs))
        values = {"outputs": text, "outputs_sum": checksum(request_id, text), "infer_failures": 0}
        self._done(request_id, "answered", f"{len(outputs)} outputs", values)

    def proven(self, request_id: bytes, proof: bytes) -> None:
        """A proof of our own output."""
        self._done(request_id, "proven", f"{len(proof)} bytes", {"proof": proof})

    def model_failed(self, request_id: bytes, kind: StepKind, detail: str, failures: int) -> None:
        """The model could not be run or proved, the ``failures``-th time. Any proof is dropped."""
        values: dict[str, Any] = {"infer_failures": failures}
        if kind is StepKind.PROVE:
            values = {"prove_failures": failures, "proof": None}
        self._done(request_id, f"{kind.value}_failed", detail, values)

    def _done(self, request_id: bytes, what: str, detail: str, values: dict[str, Any]) -> None:
        with self._write() as connection:
            self._update(connection, request_id, values | {"step": DECIDE, "wake_at": 0, "failures": 0})
            self._note(connection, request_id, what, detail)

    def _update(self, connection: Connection, request_id: bytes, values: dict[str, Any]) -> None:
        connection.execute(update(tables.requests).where(_R.request_id == request_id).values(**values))

    def _rows(self, query: Select[Any]) -> list[Row]:
        with self._read() as connection:
            return [self._row(values) for values in connection.execute(query).mappings()]

    def _row(self, values: RowMapping) -> Row:
        for name in ("inputs", "outputs"):
            if checksum(values["request_id"], values[name]) != values[f"{name}_sum"]:
                label = "0x" + values["request_id"].hex()
                raise DamagedJournal(f"{self.place.label}: the {name} of request {label} were altered")
        return _row(values)


def _unfinished() -> Select[Any]:
    return select(tables.requests).where(_R.outcome.is_(None)).order_by(_R.deadline, _R.block_number)


def _queued(values: RowMapping) -> Queued:
    return Queued(
        request_id=values["request_id"],
        model_id=values["model_id"],
        step=values["step"],
        why=values["why"],
        min_assurance=Assurance(values["min_assurance"]),
        deadline=None if values["from_receipt"] else values["deadline"],
        fee=int(values["fee"]),
    )


def _row(values: RowMapping) -> Row:
    found = Found(
        request_id=values["request_id"],
        model_id=values["model_id"],
        requester=ChecksumAddress(values["requester"]),
        inputs=tuple(json.loads(values["inputs"])),
        min_assurance=Assurance(values["min_assurance"]),
        provisional=values["provisional"],
        from_receipt=values["from_receipt"],
        deadline=values["deadline"],
        value_at_risk=int(values["value_at_risk"]),
        fee=int(values["fee"]),
        block_number=values["block_number"],
    )
    names = ("step", "why", "wake_at", "failures", "infer_failures", "prove_failures", "proof", "outcome")
    outputs = None if values["outputs"] is None else tuple(json.loads(values["outputs"]))
    return Row(found=found, outputs=outputs, **{name: values[name] for name in names})
