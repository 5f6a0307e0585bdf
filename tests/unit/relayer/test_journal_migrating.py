"""Old journals, newer ones, damaged ones: each becomes current after a copy, or is refused as it is."""

import sqlite3
import stat

import pytest

from foretell_relayer.errors import DamagedJournal, JournalHeld, NewerJournal
from foretell_relayer.journal import migrating
from foretell_relayer.journal.places import SqliteFile
from foretell_relayer.records import AttemptState, BlockRef
from foretell_relayer.signers import SignedTransaction
from foretell_relayer.store import Journal
from tests.kit.relay import make_found

FEES = (20, 1)


def rows(path, query):
    with sqlite3.connect(path) as file:
        return file.execute(query).fetchall()


def fill(journal):
    """An open request with two transactions and a reservation, and a closed one."""
    journal.take()
    found, closed = make_found(0), make_found(1)
    journal.record([found, closed], [], BlockRef(1, b"\1" * 32))
    journal.answered(found.request_id, (5, -6))
    for nonce in (0, 1):
        reserved = journal.reserve(found.request_id, "deliver", nonce, FEES)
        attempt = journal.signed(reserved, SignedTransaction(bytes([nonce]) * 32, b"raw"))
        journal.mark(attempt, AttemptState.SENT)
    return found, closed


def downgrade(path, revision="0001"):
    place = SqliteFile(path)
    engine = place.engine()
    try:
        migrating.downgrade(place, engine, revision)
    finally:
        engine.dispose()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite3"


def test_prepare__new_then_old_then_new__keeps_everything(path):
    with Journal.open(path) as journal:
        found, _ = fill(journal)
        before = (
            journal.rows(),
            journal.unresolved(),
            journal.checkpoints(),
            journal.history(found.request_id),
        )
    downgrade(path)
    assert rows(path, "select version_num from alembic_version") == [("0001",)]
    assert len(rows(path, "select tx_hash from attempts")) == 2

    with Journal.open(path) as journal:
        after = journal.rows(), journal.unresolved(), journal.checkpoints(), journal.history(found.request_id)
    assert after == before


def test_downgrade__reservation__goes_as_it_was_never_signed(path):
    with Journal.open(path) as journal:
        found, _ = fill(journal)
        journal.reserve(found.request_id, "deliver", 2, FEES)
    downgrade(path)

    assert rows(path, "select nonce from attempts order by nonce") == [(0,), (1,)]


def test_prepare__old_journal__is_copied_first_for_its_owner_alone(path):
    with Journal.open(path) as journal:
        fill(journal)
    downgrade(path)
    Journal.open(path).close()
    copy = path.with_name("journal.sqlite3.before-0003")

    assert rows(copy, "select version_num from alembic_version") == [("0001",)]
    assert len(rows(copy, "select * from requests")) == 2
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not list(path.parent.glob("*.partial"))


def test_prepare__current_journal__is_not_copied(path):
    Journal.open(path).close()
    Journal.open(path).close()

    assert [each.name for each in path.parent.iterdir()] == ["journal.sqlite3"]


def test_prepare__old_journal_that_a_relayer_works_on__is_left_alone(path):
    with Journal.open(path) as journal:
        fill(journal)
    downgrade(path)
    with Journal.open(path) as other:  # stands for the old version, which knows the lease alike
        other.take()
        with pytest.raises(JournalHeld):
            downgrade(path)


def test_prepare__migration_fails_half_way__changes_nothing(path, monkeypatch):
    with Journal.open(path) as journal:
        fill(journal)
    downgrade(path)
    schema = rows(path, "select sql from sqlite_master order by name")

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("foretell_relayer.journal.sums.hashlib.sha256", fail)
    with pytest.raises(MemoryError):
        Journal.open(path)
    assert rows(path, "select sql from sqlite_master order by name") == schema
    monkeypatch.undo()
    Journal.open(path).close()


def test_prepare__newer_journal__is_refused_and_its_form_named(path):
    Journal.open(path).close()
    with sqlite3.connect(path) as file:
        file.execute("update alembic_version set version_num = '9999'")

    with pytest.raises(NewerJournal, match="9999"):
        Journal.open(path)


def test_prepare__database_of_another_program__is_refused_and_left_alone(path):
    with sqlite3.connect(path) as file:
        file.execute("create table requests (anything text)")

    with pytest.raises(DamagedJournal, match="table requests already exists"):
        Journal.open(path)
    assert rows(path, "select name from sqlite_master") == [("requests",)]


def test_downgrade__below_the_first_form__is_refused(path):
    with Journal.open(path) as journal:
        fill(journal)

    downgrade(path, "base")
    assert len(rows(path, "select * from requests")) == 2


# -------------------------------------------------------------------------------------------- damage


def damage(path, seed):
    """Flip bits anywhere in the file."""
    import random

    moments = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(24):
        data[moments.randrange(len(data))] ^= 1 << moments.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(25))
def test_open__bits_flipped__is_refused_or_gives_what_was_written(path, seed):
    with Journal.open(path) as journal:
        fill(journal)
        whole = {row.request_id: (row.found.inputs, row.outputs) for row in journal.rows()}
    damage(path, seed)

    try:
        with Journal.open(path) as journal:
            seen = {row.request_id: (row.found.inputs, row.outputs) for row in journal.rows()}
    except DamagedJournal:
        return
    # A bit in unused space, or in an id that no chain knows: what we would sign is as it was.
    assert {key: value for key, value in seen.items() if key in whole}.items() <= whole.items()


@pytest.mark.parametrize("cut", range(0, 64 * 512, 4 * 512))
def test_open__write_ahead_log_torn__loses_whole_transactions_alone(path, tmp_path, cut):
    journal = Journal.open(path)
    found, _ = fill(journal)
    # A copy taken now is what a power cut leaves: the log is not in the file yet.
    torn = tmp_path / "torn.sqlite3"
    torn.write_bytes(path.read_bytes())
    log = path.with_name(path.name + "-wal").read_bytes()
    torn.with_name("torn.sqlite3-wal").write_bytes(log[: max(0, len(log) - cut)])
    journal.close()

    with Journal.open(torn) as after:
        row = after.get(found.request_id)
        assert row is None or row.found.inputs == found.inputs
        assert all(attempt.raw == b"raw" for attempt in after.unresolved())


# -------------------------------------------------------------------------------------------- forgetting


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def close(journal, found):
    from foretell_relayer.core import Step, StepKind

    journal.decide(journal.get(found.request_id), Step(StepKind.DONE, "FINAL"))


def test_forget__closed_long_ago__goes_with_its_story(path):
    clock = Clock()
    with Journal.open(path, clock) as journal:
        opened, closed = fill(journal)
        close(journal, closed)
        clock.now += 100

        assert journal.forget(101) == 0
        assert journal.forget(99) == 1
        assert [row.request_id for row in journal.rows()] == [opened.request_id]
        assert journal.history(closed.request_id) == []


def test_forget__transaction_on_its_way__stays(path):
    clock = Clock()
    with Journal.open(path, clock) as journal:
        busy, _ = fill(journal)
        close(journal, busy)
        clock.now += 100

        assert journal.forget(1) == 0
        for attempt in journal.unresolved():
            journal.mark(attempt, AttemptState.CONFIRMED, 3)
        assert journal.forget(1) == 1
        assert journal.attempts(busy.request_id) == []


def test_rewind__forgotten_ones_of_those_blocks__stay_as_long_as_they_are_open(path):
    clock = Clock()
    with Journal.open(path, clock) as journal:
        _, closed = fill(journal)
        close(journal, closed)
        journal.rewind(0)
        clock.now += 100

        assert journal.forget(1) == 0


def test_give_back__much_was_forgotten__makes_the_file_smaller(path):
    clock = Clock()
    with Journal.open(path, clock) as journal:
        journal.take()
        found = [make_found(number) for number in range(300)]
        journal.record(found, [], BlockRef(1, b"\1" * 32))
        for each in found:
            close(journal, each)
        clock.now += 100
        journal.give_back()
        before = path.stat().st_size
        journal.forget(1)
        journal.give_back()

    assert path.stat().st_size < before / 2


def test_give_back__file_of_an_older_version__learns_to_shrink(path):
    with sqlite3.connect(path) as file:
        file.execute("pragma auto_vacuum = none")
        file.execute("create table filler (x)")
        file.execute("drop table filler")
    with Journal.open(path) as journal:
        journal.give_back()

    assert rows(path, "pragma auto_vacuum") == [(2,)]
