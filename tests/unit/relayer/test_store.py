import os
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect

from foretell_relayer import lease, tables
from foretell_relayer.core import NEVER, Step, StepKind
from foretell_relayer.errors import (
    DamagedJournal,
    JournalHeld,
    JournalUnwritable,
    LeaseLost,
    NewerJournal,
    OtherChain,
)
from foretell_relayer.journal.requests import LONGEST_SLEEP
from foretell_relayer.records import DECIDE, AttemptState, BlockRef, Identity
from foretell_relayer.signers import SignedTransaction
from foretell_relayer.store import KEPT_BLOCKS, Journal
from foretell_spec.assurance import Assurance
from tests.kit.relay import OPERATOR, OTHER, SETTLEMENT, START, make_found, request_id

IDENTITY = Identity(31337, b"\7" * 32, SETTLEMENT, OPERATOR)
BLOCK = BlockRef(1, b"\1" * 32)
FEES = (20, 1)


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "journal.sqlite3"


@pytest.fixture
def journal(path, clock):
    with Journal.open(path, clock) as opened:
        opened.take()
        yield opened


def signed(nonce, salt=0):
    return SignedTransaction(bytes([nonce, salt]) * 16, b"raw %d %d" % (nonce, salt))


def prepare(journal, request_id, nonce, sign=signed, action="deliver"):
    """Reserve a nonce and sign for it."""
    reserved = journal.reserve(request_id, action, nonce, FEES)
    return journal.signed(reserved, sign(reserved.nonce))


def record(journal, *found, touched=(), end=BLOCK):
    journal.record(found, touched, end)
    return [journal.get(each.request_id) for each in found]


def move(journal, row, kind, until=NEVER):
    journal.decide(row, Step(kind, f"why {kind.value}", until))


def test_record__new_request__is_due_with_all_its_facts(journal):
    found = make_found(value_at_risk=2**255, min_assurance=Assurance.PROVEN, provisional=True)
    record(journal, found)

    (row,) = journal.due(0)
    assert row.found == found
    assert (row.step, row.outputs, row.proof, row.outcome) == (DECIDE, None, None, None)
    assert journal.checkpoints() == [BLOCK]


def test_record__same_event_twice__keeps_the_work_and_takes_the_new_policy(journal):
    (row,) = record(journal, make_found())
    journal.answered(row.request_id, (5, -6))
    record(journal, make_found(deadline=START + 999, block_number=9), end=BlockRef(9, b"\2" * 32))

    (row,) = journal.due(0)
    assert (row.outputs, row.found.deadline, row.found.block_number) == ((5, -6), START + 999, 9)


def test_record__back_after_a_reorganisation_took_it_away__is_decided_again(journal):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.WAIT, until=NEVER)
    assert journal.due(0) == []
    record(journal, make_found(block_number=2), end=BlockRef(2, b"\2" * 32))

    assert [row.found.block_number for row in journal.due(0)] == [2]


def test_record__deadline_beyond_sqlite__is_held_at_its_limit(journal):
    (row,) = record(journal, make_found(deadline=2**64 - 1))

    assert row.found.deadline == 2**63 - 1


def test_record__many_ranges__remembers_the_newest(journal):
    for number in range(1, KEPT_BLOCKS + 4):
        journal.record([], [], BlockRef(number, number.to_bytes(32, "big")))

    known = journal.checkpoints()
    assert [known[0].number, known[-1].number, len(known)] == [KEPT_BLOCKS + 3, 4, KEPT_BLOCKS]


def test_due__several__earliest_deadline_first(journal):
    record(journal, make_found(0, deadline=30), make_found(1, deadline=10), make_found(2, deadline=20))

    assert [row.found.deadline for row in journal.due(0)] == [10, 20, 30]


def test_decide__wait__sleeps_until_the_chain_is_there(journal):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.WAIT, until=500)

    assert journal.due(499) == []
    assert [row.why for row in journal.due(500)] == ["why wait"]


def test_record__event_of_a_sleeper__wakes_it(journal):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.WAIT)
    record(journal, touched=[row.request_id])

    assert len(journal.due(0)) == 1


def test_decide__transaction__stands_in_its_queue_alone(journal):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.DELIVER)

    assert journal.due(NEVER) == []
    assert [row.step for row in journal.in_step({StepKind.DELIVER, StepKind.PROVE})] == ["deliver"]
    assert journal.in_step({StepKind.PROVE}) == []


def test_decide__done__closes_and_drops_the_proof(journal):
    (row,) = record(journal, make_found())
    journal.proven(row.request_id, b"proof")
    journal.decide(row, Step(StepKind.DONE, "FINAL"))

    row = journal.get(row.request_id)
    assert (row.outcome, row.proof) == ("final", None)
    assert journal.due(NEVER) == []
    assert journal.counts() == {"final": 1}


def test_later__failure__waits_for_the_wall_clock_and_counts(journal, clock):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.DELIVER)
    journal.later(row.request_id, "not_sent", "no", 5.0)

    assert journal.due(NEVER) == []
    clock.now += 5.0
    assert [row.failures for row in journal.due(NEVER)] == [1]
    journal.again(row.request_id)
    assert [row.failures for row in journal.due(NEVER)] == [0]


def test_due__clock_set_back_by_an_hour__does_not_sleep_for_an_hour(journal, clock):
    (row,) = record(journal, make_found())
    journal.later(row.request_id, "not_sent", "no", 60.0)
    clock.now -= 3600

    assert [row.failures for row in journal.due(NEVER)] == [1]


def test_later__absurd_pause__is_held_at_the_longest(journal, clock):
    (row,) = record(journal, make_found())
    journal.later(row.request_id, "not_sent", "no", 10.0**9)
    clock.now += LONGEST_SLEEP

    assert len(journal.due(NEVER)) == 1


@pytest.mark.parametrize("column", ["inputs", "outputs"])
def test_get__stored_numbers_altered__is_refused(journal, path, column):
    (row,) = record(journal, make_found())
    journal.answered(row.request_id, (5, -6))
    with sqlite3.connect(path) as file:
        file.execute(f"update requests set {column} = '[5, -7]'")  # noqa: S608

    with pytest.raises(DamagedJournal, match=f"the {column} of request 0x"):
        journal.get(row.request_id)


def test_rewind__reorganised__looks_again_at_requests_and_transactions_of_those_blocks(journal):
    early, late = record(journal, make_found(0, block_number=1), make_found(1, block_number=5))
    journal.record([], [], BlockRef(5, b"\5" * 32))
    for row in (early, late):
        journal.decide(row, Step(StepKind.DONE, "FINAL"))
    attempts = [prepare(journal, row.request_id, 0) for row in (early, late)]
    for attempt, block in zip(attempts, (1, 5), strict=True):
        journal.mark(attempt, AttemptState.CONFIRMED, block)
    journal.rewind(1)

    assert [row.request_id for row in journal.due(0)] == [late.request_id]
    assert journal.checkpoints() == [BLOCK]
    assert [(each.tx_hash, each.state) for each in journal.unresolved()] == [
        (attempts[1].tx_hash, AttemptState.SENT)
    ]


def test_prepare__first__is_written_before_it_is_returned(journal, path):
    (row,) = record(journal, make_found())
    attempt = prepare(journal, row.request_id, 7)

    with sqlite3.connect(path) as reader:
        stored = reader.execute("select nonce, raw, state from attempts").fetchall()
    assert stored == [(7, b"raw 7 0", "signed")]
    assert (attempt.nonce, attempt.max_fee, attempt.tip) == (7, *FEES)
    assert journal.has_pending(row.request_id)


def test_prepare__others_on_their_way__takes_the_lowest_free_nonce(journal):
    rows = record(journal, *(make_found(number) for number in range(4)))
    first, second, third = (prepare(journal, row.request_id, 7) for row in rows[:3])
    journal.mark(second, AttemptState.REFUSED)

    assert [first.nonce, second.nonce, third.nonce] == [7, 8, 9]
    assert prepare(journal, rows[3].request_id, 7, lambda n: signed(n, 1)).nonce == 8


def test_reserve__before_the_signature__is_on_the_disk_and_holds_nonce_and_request(journal, path):
    first, second = record(journal, make_found(0), make_found(1))
    reserved = journal.reserve(first.request_id, "deliver", 7, FEES)

    with sqlite3.connect(path) as reader:
        stored = reader.execute("select nonce, tx_hash, raw, state from attempts").fetchall()
    assert stored == [(7, None, None, "reserved")]
    assert journal.has_pending(first.request_id)
    assert journal.unresolved() == journal.attempts(first.request_id) == []
    assert prepare(journal, second.request_id, 7).nonce == reserved.nonce + 1


def test_drop_reservations__signature_never_came__frees_nonce_and_request(journal):
    (row,) = record(journal, make_found())
    journal.reserve(row.request_id, "deliver", 7, FEES)
    journal.drop_reservations()

    assert not journal.has_pending(row.request_id)
    assert journal.reserve(row.request_id, "deliver", 7, FEES).nonce == 7


def test_take__reservation_of_a_relayer_that_died__is_dropped(path, clock):
    with Journal.open(path, clock) as first:
        first.take()
        (row,) = record(first, make_found())
        first.reserve(row.request_id, "deliver", 7, FEES)
    with Journal.open(path, clock) as second:
        second.take()
        assert not second.has_pending(row.request_id)


def test_prepare__same_transaction_again__is_one_attempt(journal):
    (row,) = record(journal, make_found())
    attempt = prepare(journal, row.request_id, 7)
    journal.mark(attempt, AttemptState.REVERTED)
    prepare(journal, row.request_id, 7)

    assert [each.state for each in journal.attempts(row.request_id)] == [AttemptState.SIGNED]


def test_mark__resolved__is_not_pending_any_longer(journal):
    (row,) = record(journal, make_found())
    attempt = prepare(journal, row.request_id, 7)
    journal.mark(attempt, AttemptState.INCLUDED, 3)

    assert not journal.has_pending(row.request_id)
    assert [each.block_number for each in journal.unresolved()] == [3]
    journal.mark(attempt, AttemptState.CONFIRMED, 3)
    assert journal.unresolved() == []


def test_missed__twice__counts_and_a_sighting_clears(journal):
    (row,) = record(journal, make_found())
    attempt = prepare(journal, row.request_id, 7)
    journal.missed([attempt])
    journal.missed([attempt])

    assert journal.unresolved()[0].misses == 2
    journal.mark(attempt, AttemptState.SENT)
    assert journal.unresolved()[0].misses == 0


def test_history__steps__are_told_in_order(journal):
    (row,) = record(journal, make_found())
    move(journal, row, StepKind.INFER)
    journal.answered(row.request_id, (1,))

    assert [entry.what for entry in journal.history(row.request_id)] == ["seen", "infer", "answered"]


# ----------------------------------------------------------------------------------- one writer, one chain


def test_take__after_an_end_in_the_middle__decides_everything_unfinished_again(path, clock):
    with Journal.open(path, clock) as first:
        token = first.take()
        (row,) = record(first, make_found())
        move(first, row, StepKind.PROVE)
    with Journal.open(path, clock) as second:
        assert second.take() == token + 1
        assert [row.step for row in second.due(0)] == [DECIDE]


def test_take__held_by_a_living_process__is_refused_and_says_by_whom(journal, path, clock):
    with Journal.open(path, clock) as second, pytest.raises(JournalHeld, match=f"process {os.getpid()}"):
        second.take()


def test_take__held_by_a_process_that_died__takes_over_at_once(path, clock):
    script = (
        "import sys, os; from pathlib import Path; from foretell_relayer.store import Journal;"
        "Journal.open(Path(sys.argv[1]), lambda: 1000.0).take(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9

    with Journal.open(path, clock) as second:
        assert second.take() == 2


def test_take__holder_sleeps_longer_than_its_lease__is_replaced_and_may_not_write_again(journal, path, clock):
    clock.now += lease.SECONDS
    with Journal.open(path, clock) as second:
        second.take()

        with pytest.raises(LeaseLost):
            record(journal, make_found())
        with pytest.raises(LeaseLost):
            journal.renew()
    assert Journal.open(path, clock).rows() == []


def test_renew__in_time__keeps_others_out(journal, path, clock):
    clock.now += lease.SECONDS - 1
    journal.renew()
    clock.now += lease.SECONDS - 1

    with Journal.open(path, clock) as second, pytest.raises(JournalHeld):
        second.take()


def test_close__writer__lets_the_next_in_at_once(path, clock):
    with Journal.open(path, clock) as first:
        first.take()
    with Journal.open(path, clock) as second:
        second.take()


def test_write__without_the_lease__is_a_mistake_of_ours(path):
    with Journal.open(path) as reader, pytest.raises(RuntimeError, match="reading only"):
        record(reader, make_found())


@pytest.mark.parametrize(
    "other",
    [
        Identity(1, IDENTITY.genesis, SETTLEMENT, OPERATOR),
        Identity(31337, b"\0" * 32, SETTLEMENT, OPERATOR),
        Identity(31337, IDENTITY.genesis, OTHER, OPERATOR),
        Identity(31337, IDENTITY.genesis, SETTLEMENT, OTHER),
    ],
    ids=["chain id", "genesis", "settlement", "operator"],
)
def test_pin__something_else__is_refused(journal, other, request):
    journal.pin(IDENTITY)
    journal.pin(IDENTITY)

    with pytest.raises(OtherChain, match=request.node.callspec.id):
        journal.pin(other)


# ------------------------------------------------------------------------------------------ files


def test_open__new__has_the_tables_that_the_code_uses(journal, path):
    made = inspect(create_engine(f"sqlite:///{path}"))

    assert set(made.get_table_names()) == {*tables.metadata.tables, "alembic_version"}
    for name, table in tables.metadata.tables.items():
        columns = {
            column["name"]: (str(column["type"]), column["nullable"]) for column in made.get_columns(name)
        }
        wanted = {
            each.name: (str(each.type.compile(dialect=made.dialect)), each.nullable) for each in table.columns
        }
        assert columns == wanted
        assert {index["name"] for index in made.get_indexes(name)} == {index.name for index in table.indexes}


def test_open__twice__finds_what_was_written(path, clock):
    with Journal.open(path, clock) as first:
        first.take()
        record(first, make_found())
    with Journal.open(path, clock) as second:
        assert [row.request_id for row in second.rows()] == [request_id(0)]


@pytest.mark.parametrize("content", [b"no database at all " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_open__no_database__is_refused_and_left_alone(tmp_path, content):
    file = tmp_path / "journal.sqlite3"
    file.write_bytes(content)

    with pytest.raises(DamagedJournal):
        Journal.open(file)
    assert file.read_bytes() == content


def test_open__damaged_page__is_refused(path, clock):
    with Journal.open(path, clock) as first:
        first.take()
        for number in range(200):
            record(first, make_found(number))
    data = bytearray(path.read_bytes())
    data[8192 : 8192 + 4096 * 4] = b"\xa5" * 4096 * 4
    path.write_bytes(data)

    with pytest.raises(DamagedJournal):
        Journal.open(path)


def test_open__of_a_newer_version__is_refused(path, clock):
    Journal.open(path, clock).close()
    with sqlite3.connect(path) as file:
        file.execute("update alembic_version set version_num = '9999'")

    with pytest.raises(NewerJournal):
        Journal.open(path)


def test_open__folder_cannot_be_made__says_where(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(JournalUnwritable, match="file"):
        Journal.open(tmp_path / "file" / "journal.sqlite3")
