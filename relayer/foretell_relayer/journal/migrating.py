"""How the journal's form changes: all of it or nothing, after a copy, and never under a relayer at work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, inspect

from foretell_relayer import lease
from foretell_relayer.errors import DamagedJournal, NewerJournal
from foretell_relayer.journal.database import explained
from foretell_relayer.journal.places import Place

log = structlog.get_logger(__name__)

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
_LOCK: Final = 0x666F726574656C6C
"""Number of the server's lock that one migration holds at a time."""


def prepare(place: Place, engine: Engine) -> None:
    """Check a journal, make it if it is new, and bring an old one up to date.

    Raises:
        DamagedJournal: it is damaged, or no journal.
        NewerJournal: a newer version of this program wrote it.
        JournalHeld: it is of an older form, and another relayer works on it.
    """
    with explained(place), _alone(engine) as connection:
        place.look_for_damage(connection)
        _move(place, connection, "head")


def downgrade(place: Place, engine: Engine, revision: str) -> None:
    """Bring a journal back into an older form, after a copy.

    Raises:
        JournalHeld: a relayer works on it.
        CommandError: there is no such form.
    """
    with explained(place), _alone(engine) as connection:
        _move(place, connection, revision)


def newest() -> str:
    """Name of the form that this program works with."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _move(place: Place, connection: Connection, target: str) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(_config())
    try:
        current = script.get_revision(found) if found else None
    except CommandError:
        raise NewerJournal(
            f"{place.label} was written by a newer version of this program ({found})"
        ) from None
    wanted = script.get_revision(target)
    if current is wanted or wanted is None:
        return
    down = current is not None and wanted.revision < current.revision
    if current is None:
        _require_empty(place, connection)
    else:
        lease.require_free(connection, place.now(connection, time.time))
        copy = place.back_up(connection, f"before-{wanted.revision}")
        log.info("journal_backed_up", journal=place.label, copy=copy)
    config = _config(connection)
    (command.downgrade if down else command.upgrade)(config, wanted.revision)
    if current is not None:
        log.info("journal_migrated", journal=place.label, before=current.revision, now=wanted.revision)


def _require_empty(place: Place, connection: Connection) -> None:
    """A database with tables of somebody else is no place for a journal."""
    tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
    if tables:
        raise DamagedJournal(f"{place.label}: table {min(tables)} already exists, and it is no journal's")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction beside which nobody else looks at the journal's form."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection


def _config(connection: Connection | None = None) -> Any:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
