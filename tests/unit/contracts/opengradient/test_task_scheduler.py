"""TaskScheduler: the published functions, events, keys and reasons, and our own execute()."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from foretell_contracts import load
from tests.kit.chain import Chain, Contract, RevertedError, reverts
from tests.kit.compiled import compiled

DAY = 86_400
HOUR = 3_600
ZERO = "0x" + "00" * 20


@pytest.fixture(scope="module")
def deployed() -> SimpleNamespace:
    chain = Chain()
    return SimpleNamespace(
        chain=chain,
        scheduler=chain.deploy(compiled("opengradient/TaskScheduler.vy")),
        workflow=chain.deploy(compiled("mocks/CountingWorkflow.vy")),
        user=chain.account("user"),
        stranger=chain.account("stranger"),
    )


@pytest.fixture
def og(deployed: SimpleNamespace) -> Iterator[SimpleNamespace]:
    with deployed.chain.isolate():
        yield deployed


def register(og: SimpleNamespace, *, end: int = DAY, frequency: int = HOUR, sender: str | None = None) -> Any:
    return og.scheduler.registerTask(
        og.workflow.address, og.chain.time + end, frequency, sender=sender or og.user
    )


def key(user: str, workflow: Contract) -> bytes:
    return keccak(encode(["address", "address"], [user, workflow.address]))


def execute(og: SimpleNamespace, user: str | None = None, **fields: Any) -> Any:
    return og.scheduler.execute(user or og.user, og.workflow.address, **fields)


def test_register__task__is_stored_under_the_published_key(og: SimpleNamespace) -> None:
    event = register(og).event("TaskRegistered")
    assert (event.user, event.contractAddress) == (og.user, og.workflow.address)
    assert (event.endTime, event.frequency) == (og.chain.time + DAY, HOUR)
    task = og.scheduler.tasks(key(og.user, og.workflow))
    assert (task.user, task.contractAddress) == (og.user, og.workflow.address)
    assert (task.endTime, task.frequency) == (og.chain.time + DAY, HOUR)


def test_selectors_and_topics__published__match() -> None:
    abi = load("TaskScheduler").abi
    found = {}
    for entry in abi:
        if entry["type"] in ("function", "event"):
            signature = f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
            found[entry["name"]] = keccak(text=signature)[: 4 if entry["type"] == "function" else 32].hex()
    assert found["registerTask"] == "31a7e88c"
    assert found["stopTask"] == "2f730891"
    assert found["updateTask"] == "acac5393"
    assert found["tasks"] == "e579f500"
    assert found["TaskRegistered"].startswith("2f401f04")
    assert found["TaskStopped"].startswith("241f6a99")
    assert found["TaskUpdated"].startswith("8e337393")


def test_register__bad_task__is_refused_with_the_published_reason(og: SimpleNamespace) -> None:
    with reverts("Frequency must be greater than 0"):
        register(og, frequency=0)
    with reverts("End time must be in the future"):
        register(og, end=0)
    with reverts("Frequency must be greater than 0"):
        register(og, frequency=0, end=0)
    register(og)
    with reverts("Task already exists"):
        register(og)
    register(og, sender=og.stranger)


def test_update__own_task__changes_end_and_frequency(og: SimpleNamespace) -> None:
    register(og)
    end = og.chain.time + 5
    event = og.scheduler.updateTask(og.workflow.address, end, 7, sender=og.user).event("TaskUpdated")
    assert (event.user, event.newEndTime, event.newFrequency) == (og.user, end, 7)
    task = og.scheduler.tasks(key(og.user, og.workflow))
    assert (task.endTime, task.frequency) == (end, 7)


def test_update__bad__is_refused_with_the_published_reason(og: SimpleNamespace) -> None:
    later = og.chain.time + DAY
    with reverts("Task does not exist or unauthorized"):
        og.scheduler.updateTask(og.workflow.address, later, 7, sender=og.user)
    register(og)
    with reverts("Task does not exist or unauthorized"):
        og.scheduler.updateTask(og.workflow.address, later, 7, sender=og.stranger)
    with reverts("Frequency must be greater than 0"):
        og.scheduler.updateTask(og.workflow.address, later, 0, sender=og.user)
    with reverts("End time must be in the future"):
        og.scheduler.updateTask(og.workflow.address, og.chain.time, 7, sender=og.user)


def test_stop__own_task__is_forgotten_and_can_begin_again(og: SimpleNamespace) -> None:
    register(og)
    execute(og)
    event = og.scheduler.stopTask(og.workflow.address, sender=og.user).event("TaskStopped")
    assert (event.user, event.contractAddress) == (og.user, og.workflow.address)
    assert og.scheduler.tasks(key(og.user, og.workflow)).user == ZERO
    with reverts("Task is not due"):
        execute(og)
    register(og)
    execute(og)
    assert og.workflow.runs() == 2


def test_stop__no_task_of_the_caller__is_refused(og: SimpleNamespace) -> None:
    register(og)
    with reverts("Task does not exist or unauthorized"):
        og.scheduler.stopTask(og.workflow.address, sender=og.stranger)


def test_execute__when_due__runs_by_anybody_and_says_so(og: SimpleNamespace) -> None:
    register(og)
    event = execute(og, sender=og.stranger).event("TaskExecuted")
    assert (event.user, event.contractAddress) == (og.user, og.workflow.address)
    assert og.workflow.last_caller() == og.scheduler.address
    assert og.scheduler.last_run(key(og.user, og.workflow)) == og.chain.time


def test_execute__before_it_is_due__is_refused(og: SimpleNamespace) -> None:
    register(og)
    execute(og)
    og.chain.mine(HOUR - 1)
    assert not og.scheduler.is_due(og.user, og.workflow.address)
    with reverts("Task is not due"):
        execute(og)
    og.chain.mine(1)
    assert og.scheduler.is_due(og.user, og.workflow.address)
    execute(og)
    assert og.workflow.runs() == 2


@pytest.mark.parametrize(("seconds", "due"), [(DAY - 1, True), (DAY, False)])
def test_execute__at_the_end__is_over(og: SimpleNamespace, seconds: int, due: bool) -> None:
    register(og)
    og.chain.mine(seconds)
    assert og.scheduler.is_due(og.user, og.workflow.address) is due


def test_execute__unknown_task__is_refused(og: SimpleNamespace) -> None:
    register(og)
    with reverts("Task is not due"):
        execute(og, og.stranger)


def test_execute__run_that_reverts__changes_nothing_and_can_be_tried_again(og: SimpleNamespace) -> None:
    register(og)
    og.workflow.set_refuses(True)
    with reverts("workflow: refused"):
        execute(og)
    og.workflow.set_refuses(False)
    execute(og)
    assert og.workflow.runs() == 1


def test_execute__with_little_gas__never_spends_the_turn(og: SimpleNamespace) -> None:
    register(og)
    for gas in range(30_000, 120_000, 10_000):
        before = og.workflow.runs()
        try:
            execute(og, gas=gas)
        except RevertedError:
            assert og.scheduler.is_due(og.user, og.workflow.address)
        else:
            assert og.workflow.runs() == before + 1
            return
    raise AssertionError("it never ran")


def test_execute__within_a_run__is_refused(og: SimpleNamespace) -> None:
    register(og)
    register(og, sender=og.stranger)
    og.workflow.set_again(og.stranger)
    with reverts(""):
        execute(og)


def test_execute__greatest_frequency__runs_once(og: SimpleNamespace) -> None:
    register(og, frequency=2**256 - 1)
    execute(og)
    og.chain.mine(HOUR)
    with reverts("Task is not due"):
        execute(og)


def test_execute__account_without_code__is_refused(og: SimpleNamespace) -> None:
    og.scheduler.registerTask(og.stranger, og.chain.time + DAY, 1, sender=og.user)
    with reverts(""):
        og.scheduler.execute(og.user, og.stranger)
