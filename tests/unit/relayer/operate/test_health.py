import pytest

from foretell_relayer.context import Bells
from foretell_relayer.errors import BreakerOpen, RpcUnreachable
from foretell_relayer.metrics import Metrics
from foretell_relayer.operate import health
from foretell_relayer.operate.health import Funds, Monitor, publish
from foretell_relayer.records import Mode

STAGES = ("watch", "decide", "infer", "prove", "submit", "lease", "forget", "orders", "books")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def monitor(clock):
    made = Monitor(poll=1.0, least_balance=10, least_bond=5, clock=clock)
    made.looked(100, 100)
    made.funds = Funds(balance=10, bond=9, locked=4, free=5, credit=0)
    return made


def names(monitor):
    return [reason.name for reason in monitor.reasons()]


def test_reasons__all_well__are_none(monitor):
    assert names(monitor) == []
    assert monitor.is_alive()


def test_reasons__before_the_first_look__is_starting():
    assert names(Monitor(poll=1.0)) == ["starting"]


def test_reasons__node_silent__is_said(monitor, clock):
    clock.now += health.LOOK_PATIENCE + 3.1

    assert names(monitor) == ["node"]


@pytest.mark.parametrize(("read", "told"), [(100 - health.LAG, []), (99 - health.LAG, ["behind"])])
def test_reasons__blocks_unread__are_said_from_a_limit_on(monitor, read, told):
    monitor.looked(100, read)

    assert names(monitor) == told


@pytest.mark.parametrize(
    ("funds", "told"),
    [
        (Funds(9, 9, 4, 5, 0), ["funds"]),
        (Funds(10, 9, 5, 4, 0), ["bond"]),
        (Funds(9, 9, 5, 4, 0), ["funds", "bond"]),
    ],
)
def test_reasons__money_short__is_said(monitor, funds, told):
    monitor.funds = funds

    assert names(monitor) == told


@pytest.mark.parametrize(("mode", "told"), [(Mode.PAUSED, "paused"), (Mode.DRAINING, "draining")])
def test_reasons__nothing_new_taken__is_said(monitor, mode, told):
    monitor.mode = mode

    assert names(monitor) == [told]


def test_reasons__new_work_kept_out__is_said_and_is_a_state_of_the_intake(monitor):
    assert monitor.intake == "open"
    monitor.refusal = BreakerOpen("too much failed")
    (reason,) = monitor.reasons()
    assert (reason.name, reason.remedy, monitor.intake) == ("intake", BreakerOpen.hint, "closed")

    monitor.mode = Mode.PAUSED
    assert monitor.intake == "paused"


def test_reasons__failing_stage__is_said_for_a_while_with_its_code(monitor, clock):
    monitor.failed("watch", RpcUnreachable("down"))
    (reason,) = monitor.reasons()
    assert (reason.name, reason.text) == ("failing_watch", "R-RPC-001: down")
    assert reason.remedy == RpcUnreachable.hint

    clock.now += health.FAILURE_FRESH
    assert names(monitor) == []


def test_alive__lease_not_renewed__is_dead_until_it_is(monitor, clock):
    clock.now += health.LEASE_PATIENCE
    assert not monitor.is_alive()

    monitor.renewed()
    assert monitor.is_alive()


def test_names__of_reasons__are_those_that_metrics_know(monitor):
    assert {f"failing_{stage}" for stage in STAGES} == {n for n in health.NAMES if n.startswith("failing_")}
    assert set(STAGES) == set(Bells.__dataclass_fields__)


def test_publish__reasons__are_figures(monitor):
    metrics = Metrics()
    monitor.mode = Mode.PAUSED
    publish(monitor, metrics)
    text = metrics.text().decode()
    assert "foretell_relay_ready 0.0" in text
    assert 'foretell_relay_not_ready{reason="paused"} 1.0' in text
    assert 'foretell_relay_intake{state="paused"} 1.0' in text

    monitor.mode = Mode.OPEN
    publish(monitor, metrics)
    text = metrics.text().decode()
    assert "foretell_relay_ready 1.0" in text
    assert 'foretell_relay_not_ready{reason="paused"} 0.0' in text
