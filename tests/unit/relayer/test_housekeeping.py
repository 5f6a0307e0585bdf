import asyncio

import pytest

from foretell_relayer.core import Step, StepKind
from foretell_relayer.errors import LeaseLost
from foretell_relayer.housekeeping import Forgetter, LeaseKeeper
from foretell_relayer.records import BlockRef
from foretell_relayer.store import Journal
from tests.kit.relay import make_context, make_found

DAY = 86_400.0


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def context(tmp_path, clock):
    made = make_context(tmp_path)
    made.journal.close()
    made.journal = Journal.open(tmp_path / "journal.sqlite3", clock)
    made.journal.take()
    yield made
    made.journal.close()


def close(context, number):
    found = make_found(number)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    context.journal.decide(context.journal.get(found.request_id), Step(StepKind.DONE, "FINAL"))
    return found.request_id


def run_until_stopped(context, stage):
    async def story():
        task = asyncio.create_task(stage.run())
        await asyncio.sleep(0.05)
        context.stop()
        await asyncio.wait_for(task, 10)

    asyncio.run(story())


def test_forgetter__closed_longer_ago_than_is_kept__goes(context, clock):
    close(context, 0)
    clock.now += context.settings.keep_days * DAY - 1
    recent = close(context, 1)
    clock.now += 2
    run_until_stopped(context, Forgetter(context))

    assert [row.request_id for row in context.journal.rows()] == [recent]


def test_lease_keeper__runs__renews_and_says_that_it_lives(context, clock):
    context.monitor.renewed_at -= 60
    clock.now += 14
    run_until_stopped(context, LeaseKeeper(context))
    clock.now += 14

    assert context.monitor.is_alive()
    context.journal.renew()


def test_lease_keeper__somebody_took_over__ends(context, tmp_path, clock):
    clock.now += 16
    with Journal.open(tmp_path / "journal.sqlite3", clock) as other:
        other.take()
        with pytest.raises(LeaseLost):
            asyncio.run(LeaseKeeper(context).run())
