"""The journal on a real PostgreSQL server: the same promises as in a file, and a lease across hosts."""

import itertools
import threading

import pytest
from hypothesis import HealthCheck, Phase, settings
from sqlalchemy import create_engine, make_url, text

from foretell_relayer import lease
from foretell_relayer.chain import TransactionReceipt
from foretell_relayer.core import Status, Step, StepKind
from foretell_relayer.errors import (
    DamagedJournal,
    JournalHeld,
    JournalUnreachable,
    LeaseLost,
    NewerJournal,
)
from foretell_relayer.journal import migrating
from foretell_relayer.journal.places import PostgresServer, _secured
from foretell_relayer.records import AttemptState, BlockRef, Mode, OrderKind
from foretell_relayer.signers import SignedTransaction
from foretell_relayer.store import KEPT_BLOCKS, Journal
from tests.kit.postgres import PASSWORD, Postgres, find_binaries
from tests.kit.relay import OPERATOR, START, a_view, make_found
from tests.property.test_relay_journal import JournalMachine

pytestmark = pytest.mark.slow
BINARIES = find_binaries()
FEES = (20, 1)
NUMBERS = itertools.count()

if BINARIES is None:
    pytest.skip("no PostgreSQL here (Debian, Ubuntu: apt-get install postgresql)", allow_module_level=True)


@pytest.fixture(scope="module")
def server():
    with Postgres(BINARIES) as started:
        yield started


def new_database(server):
    name = f"journal{next(NUMBERS)}"
    engine = create_engine(server.url().replace("postgresql:", "postgresql+pg8000:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return server.url(name)


@pytest.fixture
def url(server):
    return new_database(server)


@pytest.fixture
def journal(url):
    with Journal.open(url) as opened:
        opened.take()
        yield opened


@pytest.fixture
def on_host(monkeypatch):
    """Say which host the next calls come from."""

    def choose(name):
        monkeypatch.setattr(lease.socket, "gethostname", lambda: name)

    return choose


def expire(url):
    """Let the holder's lease run out, by the server's clock."""
    engine = create_engine(url.replace("postgresql:", "postgresql+pg8000:"))
    with engine.begin() as connection:
        connection.execute(text("update lease set expires_at = 0"))
    engine.dispose()


def test_record__request__comes_back_with_all_its_facts(journal):
    found = make_found(value_at_risk=2**255, deadline=2**64 - 1, block_number=2**40)
    journal.record([found], [], BlockRef(2**40, b"\1" * 32))
    journal.record([found], [], BlockRef(2**40, b"\2" * 32))
    journal.answered(found.request_id, (5, -(2**60)))

    (row,) = journal.due(0)
    assert (row.found.value_at_risk, row.found.deadline, row.outputs) == (2**255, 2**63 - 1, (5, -(2**60)))
    assert journal.checkpoints() == [BlockRef(2**40, b"\2" * 32)]
    assert [entry.what for entry in journal.history(found.request_id)] == ["seen", "seen", "answered"]


def test_orders__of_somebody_without_the_lease__are_found_and_answered(journal, url):
    with Journal.open(url) as operator:
        assert operator.is_held()
        order_id = operator.give(OrderKind.PAUSE)
        (order,) = journal.open_orders()
        journal.set_mode(Mode.PAUSED)
        journal.answer(order, "so it is", done=True)

        assert (operator.mode(), operator.order(order_id).answer) == (Mode.PAUSED, "so it is")
        assert journal.open_orders() == []


def test_ledger__request_that_ended__is_summed_and_survives_its_request(journal):
    found = make_found(fee=10**18, provisional=True, deadline=2**64 - 1)
    journal.record([found], [], BlockRef(1, b"\1" * 32))
    assert [each.deadline for each in journal.queue()] == [2**63 - 1]
    assert (journal.given_up(3), journal.next_deadline(0)) == (0, None)
    reserved = journal.reserve(found.request_id, "deliver", 0, FEES)
    attempt = journal.signed(reserved, SignedTransaction(b"\7" * 32, b"raw"))
    journal.mark(attempt, AttemptState.CONFIRMED, 1)
    assert journal.bound() == 1
    (unpaid,) = journal.unpaid()
    journal.paid(unpaid, TransactionReceipt(BlockRef(1, b"\1" * 32), True, 2**40, 10**12))
    row = journal.get(found.request_id)
    view = a_view(Status.FINAL, operator=OPERATOR, delivered_at=START)
    assert journal.ended(row, found.facts(1, 1), view, OPERATOR, START + 2**40) == 2**40
    journal.diverged(row, view)
    assert journal.last_earner() == found.request_id

    journal.decide(row, Step(StepKind.DONE, "FINAL"))
    assert journal.replay(found.request_id)
    journal.decide(journal.get(found.request_id), Step(StepKind.DONE, "FINAL"))
    assert journal.forget(-1) == 1
    sums = journal.sums()
    assert (sums.earned, sums.spent, sums.gas) == (1e18, 2**40 * 1e12, 2**40)
    assert (sums.ours, sums.transactions, sums.divergences) == (1, 1, 1)
    assert (journal.gaps()[-1], journal.outcomes()[0].gap) == (1, 2**40)
    assert (journal.last_earner(), journal.costs()[0].wei, journal.divergences()[0].outcome) == (
        None, 2**40 * 10**12, None,
    )  # fmt: skip


def test_reserve__sign__rewind__forget__as_in_a_file(journal):
    found = make_found(block_number=5)
    journal.record([found], [], BlockRef(5, b"\5" * 32))
    reserved = journal.reserve(found.request_id, "deliver", 7, FEES)
    assert journal.reserve(found.request_id, "deliver", 7, FEES).nonce == 8
    attempt = journal.signed(reserved, SignedTransaction(b"\7" * 32, b"raw"))
    journal.drop_reservations()
    journal.mark(attempt, AttemptState.CONFIRMED, 5)
    journal.decide(journal.get(found.request_id), Step(StepKind.DONE, "FINAL"))
    journal.rewind(4)
    assert [each.state for each in journal.unresolved()] == [AttemptState.SENT]

    journal.mark(attempt, AttemptState.CONFIRMED, 6)
    journal.decide(journal.get(found.request_id), Step(StepKind.DONE, "FINAL"))
    assert journal.forget(-1) == 1
    journal.give_back()
    assert journal.rows() == []


def test_record__many_ranges__remembers_the_newest(journal):
    for number in range(1, KEPT_BLOCKS + 3, 64):
        journal.record([], [], BlockRef(number, number.to_bytes(32, "big")))

    assert [each.number for each in journal.checkpoints()] == sorted(
        range(1, KEPT_BLOCKS + 3, 64), reverse=True
    )


# ------------------------------------------------------------------------------------------ several hosts


def test_take__held_on_another_host__is_refused_and_says_where(url, on_host):
    on_host("alpha")
    with Journal.open(url) as first:
        first.take()
        on_host("beta")
        with Journal.open(url) as second, pytest.raises(JournalHeld, match="on alpha"):
            second.take()


def test_take__holder_silent_for_its_lease__is_replaced_and_fenced_off(url, on_host):
    on_host("alpha")
    with Journal.open(url) as first:
        token = first.take()
        expire(url)
        on_host("beta")
        with Journal.open(url) as second:
            assert second.take() == token + 1
            with pytest.raises(LeaseLost):
                first.record([make_found()], [], BlockRef(1, b"\1" * 32))
            with pytest.raises(LeaseLost):
                first.renew()
            assert second.rows() == []


def test_take__wall_clocks_of_the_hosts_differ__goes_by_the_servers(url, on_host):
    on_host("alpha")
    with Journal.open(url, lambda: 0.0) as first:
        first.take()
        on_host("beta")
        with Journal.open(url, lambda: 9e9) as second, pytest.raises(JournalHeld):
            second.take()


def test_take__many_at_once__one_gets_it(url, on_host):
    Journal.open(url).close()
    won, lost, start = [], [], threading.Barrier(6)

    def take():
        journal = Journal.open(url)
        start.wait()
        try:
            won.append(journal.take())
        except JournalHeld:
            lost.append(1)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)


def test_open__several_at_once_on_a_new_database__make_it_once(url):
    opened, failed = [], []

    def open_it():
        try:
            Journal.open(url).close()
            opened.append(1)
        except Exception as error:  # noqa: BLE001  told below
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(opened) == 4


# ------------------------------------------------------------------------------------------ migrations


def test_prepare__new_then_old_then_new__keeps_everything_and_a_copy(url):
    with Journal.open(url) as journal:
        journal.take()
        found = make_found()
        journal.record([found], [], BlockRef(1, b"\1" * 32))
        journal.answered(found.request_id, (5, -6))
        reserved = journal.reserve(found.request_id, "deliver", 0, FEES)
        journal.signed(reserved, SignedTransaction(b"\7" * 32, b"raw"))
        before = journal.rows(), journal.unresolved()
    place = PostgresServer(url)
    engine = place.engine()
    migrating.downgrade(place, engine, "0001")
    with Journal.open(url) as journal:
        assert (journal.rows(), journal.unresolved()) == before
    with engine.connect() as connection:
        kept = connection.execute(
            text("select version_num from foretell_before_0003.alembic_version")
        ).scalar()
        copied = connection.execute(text("select count(*) from foretell_before_0003.requests")).scalar()
    engine.dispose()
    assert (kept, copied) == ("0001", 1)


def test_open__newer_or_foreign_database__is_refused(url, server):
    Journal.open(url).close()
    engine = create_engine(url.replace("postgresql:", "postgresql+pg8000:"))
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(NewerJournal):
        Journal.open(url)
    with engine.begin() as connection:
        connection.execute(text("drop table alembic_version"))
    engine.dispose()
    with pytest.raises(DamagedJournal, match="no journal's"):
        Journal.open(url)


# ------------------------------------------------------------------------------------------ failures


def test_open__wrong_password__says_so_and_not_which(url, server):
    with pytest.raises(JournalUnreachable, match="password authentication failed") as caught:
        Journal.open(url.replace(PASSWORD, "canary-wrong"))
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_open__nobody_there__says_where(server):
    with pytest.raises(JournalUnreachable, match=r"postgresql://127\.0\.0\.1:1\b") as caught:
        Journal.open(f"postgresql://foretell:{PASSWORD}@127.0.0.1:1/journal")
    assert PASSWORD not in str(caught.value)


def test_write__server_crashed_and_came_back__goes_on(url, server):
    with Journal.open(url) as journal:
        journal.take()
        journal.record([make_found(0)], [], BlockRef(1, b"\1" * 32))
        server.stop()
        with pytest.raises(JournalUnreachable) as caught:
            journal.record([make_found(1)], [], BlockRef(2, b"\2" * 32))
        assert caught.value.retry
        server.start()
        journal.record([make_found(1)], [], BlockRef(2, b"\2" * 32))

        assert len(journal.rows()) == 2


@pytest.mark.parametrize(
    ("address", "secured"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("db.example", True),
        ("db.example/x?sslmode=disable", False),
    ],
)
def test_connection__to_another_host__is_by_tls_unless_told_otherwise(address, secured):
    assert ("ssl_context" in _secured(make_url(f"postgresql://u:p@{address}"))) is secured


# ------------------------------------------------------------------------------------------ state machine


def test_state_machine__as_in_a_file(server):
    class OnTheServer(JournalMachine):
        def __init__(self):
            super().__init__()
            self.path = new_database(server)

    OnTheServer.TestCase.settings = settings(
        max_examples=3,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a server of its own for each try makes shrinking slow
    )
    OnTheServer.TestCase().runTest()
