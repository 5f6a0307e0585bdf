"""The journal: what was seen, done and signed, in SQLite, written before anything leaves this process.

One process writes (``lease``); every write checks that, in the transaction that it makes. Calls are short
and block: nothing may proceed before its line is on the disk anyway.
"""

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from eth_typing import ChecksumAddress
from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError

from foretell_relayer import lease, tables
from foretell_relayer.core import Step, StepKind
from foretell_relayer.errors import DamagedJournal, JournalUnwritable, NewerJournal, OtherChain
from foretell_relayer.keys import SignedTransaction
from foretell_relayer.records import (
    DECIDE,
    PENDING,
    UNRESOLVED,
    Attempt,
    AttemptState,
    BlockRef,
    Found,
    HistoryEntry,
    Identity,
    Row,
)
from foretell_spec.assurance import Assurance
from foretell_spec.tensor import Tensor

MIGRATIONS: Final = Path(__file__).parent / "migrations"
KEPT_BLOCKS: Final = 512
"""How many ends of ranges are remembered, and so how deep a reorganisation may go."""

_DAMAGE: Final = ("malformed", "not a database", "no such column", "no such table", "already exists")
_R, _A = tables.requests.c, tables.attempts.c


class Journal:
    """An open journal. Without ``take`` it can be read only."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._lease: lease.Lease | None = None

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.time) -> Self:
        """Open the journal at ``path``, made or brought up to date if need be.

        Raises:
            JournalError: it cannot be used; the leaf says why.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalUnwritable(f"{path.parent}: {error.strerror}") from None
        engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        journal = cls(engine, clock)
        try:
            journal._migrate(path)
        except BaseException:
            engine.dispose()
            raise
        return journal

    def _migrate(self, path: Path) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with _errors(path), self._engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if found != "ok":
                raise DamagedJournal(f"{path}: {found}")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                if "locate revision" in str(error):
                    raise NewerJournal(f"{path} was written by a newer version of this program") from None
                raise DamagedJournal(f"{path}: {error}") from None
            connection.commit()

    def close(self) -> None:
        """Give the lease back, if we have it, and close."""
        with contextlib.suppress(Exception):
            if self._lease is not None:
                with self._engine.begin() as connection:
                    lease.release(connection, self._lease)
        self._lease = None
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------- who may write

    def take(self) -> int:
        """Become the one writer, put unfinished requests back to be decided, and return the fencing token.

        Raises:
            JournalHeld: another relayer is the writer.
        """
        with _errors(), self._engine.begin() as connection:
            self._lease = lease.take(connection, self._clock())
            connection.execute(
                update(tables.requests)
                .where(_R.outcome.is_(None))
                .values(step=DECIDE, wake_at=0, retry_at=0.0)
            )
        return self._lease.token

    def renew(self) -> None:
        """Stay the writer.

        Raises:
            LeaseLost: another relayer took over.
        """
        with self._write() as connection:
            lease.renew(connection, self._held(), self._clock())

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

    def _held(self) -> lease.Lease:
        if self._lease is None:
            raise RuntimeError("the journal is open for reading only")
        return self._lease

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with _errors(), self._engine.begin() as connection:
            lease.check(connection, self._held())
            yield connection

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with _errors(), self._engine.connect() as connection:
            yield connection

    # ---------------------------------------------------------------------------------------- what was seen

    def checkpoints(self) -> list[BlockRef]:
        """Ends of the ranges that were read, newest first."""
        query = select(tables.blocks).order_by(tables.blocks.c.number.desc())
        with self._read() as connection:
            return [BlockRef(row["number"], row["hash"]) for row in connection.execute(query).mappings()]

    def record(self, found: Sequence[Found], touched: Collection[bytes], end: BlockRef) -> None:
        """Remember what a range of blocks held, and that it was read up to ``end``.

        A request that was known already keeps what we did for it: its id binds model and input, not its
        policy.
        """
        with self._write() as connection:
            for each in found:
                self._record(connection, each)
            awake = {"wake_at": 0, "retry_at": 0.0}
            for request_id in touched:
                here = (_R.request_id == request_id) & _R.outcome.is_(None)
                connection.execute(update(tables.requests).where(here).values(**awake))
            block = upsert(tables.blocks).values(number=end.number, hash=end.hash)
            connection.execute(block.on_conflict_do_update(["number"], set_={"hash": end.hash}))
            keep = select(tables.blocks.c.number).order_by(tables.blocks.c.number.desc()).limit(KEPT_BLOCKS)
            connection.execute(delete(tables.blocks).where(tables.blocks.c.number.not_in(keep)))

    def _record(self, connection: Connection, found: Found) -> None:
        policy = {
            "requester": found.requester,
            "min_assurance": int(found.min_assurance),
            "provisional": found.provisional,
            "from_receipt": found.from_receipt,
            "deadline": min(found.deadline, (1 << 63) - 1),
            "value_at_risk": str(found.value_at_risk),
            "fee": str(found.fee),
            "block_number": found.block_number,
        }
        start = {
            "request_id": found.request_id,
            "model_id": found.model_id,
            "inputs": json.dumps(list(found.inputs)),
            "step": DECIDE,
            "why": "",
            "wake_at": 0,
            "retry_at": 0.0,
            "failures": 0,
            "infer_failures": 0,
            "prove_failures": 0,
        }
        query = upsert(tables.requests).values(**start, **policy)
        connection.execute(query.on_conflict_do_update(["request_id"], set_=policy))
        self._note(connection, found.request_id, "seen", f"in block {found.block_number}")

    def rewind(self, ancestor: int) -> None:
        """Forget blocks above ``ancestor``; look again at every request and transaction of theirs."""
        with self._write() as connection:
            connection.execute(
                update(tables.attempts)
                .where(_A.block_number > ancestor)
                .values(state=AttemptState.SENT.value, block_number=None, misses=0)
            )
            connection.execute(delete(tables.blocks).where(tables.blocks.c.number > ancestor))
            connection.execute(
                update(tables.requests)
                .where(_R.outcome.is_(None) | (_R.block_number > ancestor))
                .values(step=DECIDE, wake_at=0, retry_at=0.0, outcome=None)
            )

    # ---------------------------------------------------------------------------------------- what to do

    def due(self, chain_time: int) -> list[Row]:
        """Requests to decide now, those with the earliest deadline first."""
        ripe = (_R.step == DECIDE) & (_R.wake_at <= chain_time) & (_R.retry_at <= self._clock())
        return self._rows(_unfinished().where(ripe))

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

    def counts(self) -> dict[str, int]:
        """How many requests there are by outcome, or by queue where there is no outcome yet."""
        label = func.coalesce(_R.outcome, _R.step)
        with self._read() as connection:
            rows = connection.execute(select(label, func.count()).group_by(label))
            return {row[0]: row[1] for row in rows}

    def decide(self, row: Row, step: Step) -> None:
        """Put a request into the queue of its next step, or let it sleep, or close it."""
        values: dict[str, Any] = {"why": step.why}
        if step.kind is StepKind.DONE:
            values |= {"outcome": step.why.lower(), "step": step.kind.value, "proof": None}
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

    def later(self, request_id: bytes, what: str, detail: str, seconds: float) -> None:
        """A step failed: decide again after ``seconds``."""
        retry_at = self._clock() + seconds
        with self._write() as connection:
            values = {"step": DECIDE, "wake_at": 0, "retry_at": retry_at, "failures": _R.failures + 1}
            self._update(connection, request_id, values)
            self._note(connection, request_id, what, detail)

    def answered(self, request_id: bytes, outputs: Tensor) -> None:
        """Our own output for a request."""
        values = {"outputs": json.dumps(list(outputs)), "infer_failures": 0}
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
            return [_row(values) for values in connection.execute(query).mappings()]

    # ---------------------------------------------------------------------------------------- transactions

    def prepare(
        self,
        request_id: bytes,
        action: str,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
        fees: tuple[int, int],
    ) -> Attempt:
        """Choose the next nonce, sign, and write the transaction down: all of it, or nothing.

        Args:
            request_id: what it is for.
            action: name of the step.
            chain_nonce: number of our transactions in the newest block.
            sign: makes the transaction for a nonce.
            fees: fee per gas and tip, in wei, that it signs.
        """
        with self._write() as connection:
            query = select(_A.nonce).where(_A.state.in_(_names(UNRESOLVED)))
            taken = set(connection.execute(query).scalars())
            # The lowest free one: a gap would hold up everything above it.
            nonce = next(each for each in count(chain_nonce) if each not in taken)
            return self._sign(connection, request_id, action, sign(nonce), nonce, fees)

    def replace(self, old: Attempt, action: str, signed: SignedTransaction, fees: tuple[int, int]) -> Attempt:
        """Write down a transaction that takes an older one's nonce."""
        with self._write() as connection:
            return self._sign(connection, old.request_id, action, signed, old.nonce, fees)

    def _sign(
        self,
        connection: Connection,
        request_id: bytes,
        action: str,
        signed: SignedTransaction,
        nonce: int,
        fees: tuple[int, int],
    ) -> Attempt:
        values = {
            "tx_hash": signed.hash,
            "request_id": request_id,
            "action": action,
            "nonce": nonce,
            "raw": signed.raw,
            "max_fee": str(fees[0]),
            "tip": str(fees[1]),
            "state": AttemptState.SIGNED.value,
            "created_at": self._clock(),
            "misses": 0,
        }
        # After a reorganisation the same transaction may be signed again, with the same hash.
        query = upsert(tables.attempts).values(**values)
        connection.execute(query.on_conflict_do_update(["tx_hash"], set_=values))
        self._note(connection, request_id, "signed", f"{action} 0x{signed.hash.hex()} nonce {nonce}")
        stored = select(tables.attempts).where(_A.tx_hash == signed.hash)
        return _attempt(connection.execute(stored).mappings().one())

    def unresolved(self) -> list[Attempt]:
        """Transactions whose fate is open, in order of nonce and age."""
        query = select(tables.attempts).where(_A.state.in_(_names(UNRESOLVED)))
        with self._read() as connection:
            found = connection.execute(query.order_by(_A.nonce, _A.created_at)).mappings()
            return [_attempt(values) for values in found]

    def has_pending(self, request_id: bytes) -> bool:
        """Whether a transaction for this request may still be on its way."""
        query = select(_A.tx_hash).where((_A.request_id == request_id) & _A.state.in_(_names(PENDING)))
        with self._read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def attempts(self, request_id: bytes) -> list[Attempt]:
        """All transactions for a request, oldest first."""
        query = select(tables.attempts).where(_A.request_id == request_id).order_by(_A.created_at)
        with self._read() as connection:
            return [_attempt(values) for values in connection.execute(query).mappings()]

    def mark(self, attempt: Attempt, state: AttemptState, block_number: int | None = None) -> None:
        """Write down what was learnt about a transaction."""
        with self._write() as connection:
            values = {"state": state.value, "block_number": block_number, "misses": 0}
            connection.execute(update(tables.attempts).where(_A.tx_hash == attempt.tx_hash).values(**values))
            if state is not attempt.state:
                self._note(connection, attempt.request_id, state.value, f"0x{attempt.tx_hash.hex()}")

    def missed(self, attempts: Iterable[Attempt]) -> None:
        """These transactions were looked for and not found."""
        with self._write() as connection:
            for each in attempts:
                query = update(tables.attempts).where(_A.tx_hash == each.tx_hash)
                connection.execute(query.values(misses=_A.misses + 1))

    # ---------------------------------------------------------------------------------------- the story

    def history(self, request_id: bytes) -> list[HistoryEntry]:
        """What happened to a request, oldest first."""
        table = tables.history
        query = select(table).where(table.c.request_id == request_id).order_by(table.c.id)
        with self._read() as connection:
            rows = connection.execute(query).mappings()
            return [HistoryEntry(row["at"], row["what"], row["detail"]) for row in rows]

    def _note(self, connection: Connection, request_id: bytes, what: str, detail: str) -> None:
        values = {"request_id": request_id, "at": self._clock(), "what": what, "detail": detail}
        connection.execute(insert(tables.history).values(**values))


def _unfinished() -> Select[Any]:
    return select(tables.requests).where(_R.outcome.is_(None)).order_by(_R.deadline, _R.block_number)


def _names(states: Collection[AttemptState]) -> list[str]:
    return [state.value for state in states]


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


def _attempt(values: RowMapping) -> Attempt:
    state = AttemptState(values["state"])
    fees: dict[str, Any] = {name: int(values[name]) for name in ("max_fee", "tip")}
    names = ("tx_hash", "request_id", "action", "nonce", "raw", "created_at", "block_number", "misses")
    return Attempt(state=state, **fees, **{name: values[name] for name in names})


def _on_connect(connection: Any, _: Any) -> None:
    # The driver's own transactions begin late and deferred; ours begin at once, so that writers wait.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextlib.contextmanager
def _errors(path: Path | None = None) -> Iterator[None]:
    where = f"{path}: " if path else "journal: "
    try:
        yield
    except IntegrityError:
        raise  # a mistake of ours, which no retry mends
    except DBAPIError as error:
        text = str(error.orig)
        if any(mark in text for mark in _DAMAGE):
            raise DamagedJournal(where + text) from None
        raise JournalUnwritable(where + text) from None
