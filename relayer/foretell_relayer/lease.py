"""Who may write to a journal: one process at a time, told apart by a token that only grows.

A holder that is alive renews its lease. On the same machine a holder whose process has ended is replaced at
once, so a relayer that was killed starts again without waiting; elsewhere, and for a process that only
sleeps, the lease has to run out. A sleeper that wakes up afterwards finds a higher token than its own at
its next write, and stops.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psutil
from sqlalchemy import Connection, RowMapping, select, update

from foretell_relayer import tables
from foretell_relayer.errors import JournalHeld, LeaseLost
from foretell_relayer.journal.words import upsert

SECONDS: Final = 15.0
RENEW_EVERY: Final = 5.0
_ROW: Final = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write, as long as the journal's token is ours."""

    token: int
    holder: str


def take(connection: Connection, now: float) -> Lease:
    """Become the holder.

    Raises:
        JournalHeld: somebody else is.
    """
    row = require_free(connection, now)
    lease = Lease(token=row["token"] + 1, holder=uuid.uuid4().hex)
    values = {
        "token": lease.token,
        "holder": lease.holder,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started_at": psutil.Process().create_time(),
        "expires_at": now + SECONDS,
    }
    connection.execute(update(tables.lease).values(**values))
    return lease


def require_free(connection: Connection, now: float) -> RowMapping:
    """The lease's row, locked until the transaction ends, after a look at who holds it.

    Raises:
        JournalHeld: somebody does.
    """
    never_held = upsert(connection, tables.lease).values(id=_ROW, token=0, expires_at=0.0)
    connection.execute(never_held.on_conflict_do_nothing())
    row = connection.execute(select(tables.lease).with_for_update()).mappings().one()
    if row["holder"] and _alive(row, now):
        began = datetime.fromtimestamp(row["started_at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        where = "" if row["host"] == socket.gethostname() else f" on {row['host']}"
        raise JournalHeld(
            f"another relayer (process {row['pid']}{where}, since {began}) works on this journal"
        )
    return row


def check(connection: Connection, lease: Lease) -> None:
    """Refuse to write without the lease, and keep others from taking it until this transaction ends.

    Raises:
        LeaseLost: somebody took over.
    """
    token = connection.execute(select(tables.lease.c.token).with_for_update()).scalar_one_or_none()
    if token != lease.token:
        raise LeaseLost("another relayer took this journal over while this one did not answer")


def renew(connection: Connection, lease: Lease, now: float) -> None:
    """Stay the holder for another ``SECONDS``."""
    check(connection, lease)
    connection.execute(update(tables.lease).values(expires_at=now + SECONDS))


def release(connection: Connection, lease: Lease) -> None:
    """Stop being the holder; the token stays, so that it only grows."""
    check(connection, lease)
    connection.execute(update(tables.lease).values(holder=None, expires_at=0.0))


def is_held(connection: Connection, now: float) -> bool:
    """Whether somebody alive is the holder."""
    row = connection.execute(select(tables.lease)).mappings().one_or_none()
    return row is not None and bool(row["holder"]) and _alive(row, now)


def _alive(row: RowMapping, now: float) -> bool:
    if row["expires_at"] <= now:
        return False
    if row["host"] != socket.gethostname():
        return True
    try:
        process = psutil.Process(row["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        began = float(process.create_time())
    except psutil.NoSuchProcess:
        return False
    # Another process may have got the number since.
    return abs(began - float(row["started_at"])) < 1.0
