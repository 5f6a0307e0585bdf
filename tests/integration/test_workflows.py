"""Scheduled workflows on a node: registered by anybody, run by the node when they are due."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from foretell_cli.devnet import Devnet, endowed
from foretell_cli.workflows import WorkflowExecutor
from foretell_contracts import load
from foretell_evm.config import ChainConfig
from foretell_evm.opengradient.addresses import SCHEDULER
from foretell_evm.opengradient.config import OpenGradientConfig
from tests.kit.compiled import compiled

FAR = 2**40
HOUR = 3_600
LATER = HOUR + 60
"""Blocks of one second are ahead of the clock by as many seconds."""


@pytest.fixture
def devnet() -> Iterator[Devnet]:
    with Devnet(endowed(ChainConfig(opengradient=OpenGradientConfig()))) as made:
        yield made


@pytest.fixture
def executor(devnet: Devnet) -> WorkflowExecutor:
    return WorkflowExecutor(devnet)


@pytest.fixture
def scheduler(devnet: Devnet) -> Any:
    return devnet.w3.eth.contract(SCHEDULER, abi=load("TaskScheduler").abi)


@pytest.fixture
def workflow(devnet: Devnet) -> Any:
    artifact = compiled("mocks/CountingWorkflow.vy")
    sent = devnet.w3.eth.send_transaction(
        {"from": devnet.w3.eth.accounts[0], "data": artifact["bytecode"], "gas": 1_000_000}
    )
    address = devnet.w3.eth.get_transaction_receipt(sent)["contractAddress"]
    return devnet.w3.eth.contract(address, abi=artifact["abi"])


def send(devnet: Devnet, call: Any) -> None:
    call.transact({"from": devnet.w3.eth.accounts[0]})


def runs(workflow: Any) -> int:
    return int(workflow.functions.runs().call())


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due, "it did not happen in time"
        time.sleep(0.05)


def test_executor__in_its_thread__runs_each_time_that_the_frequency_has_passed(
    devnet: Devnet, executor: WorkflowExecutor, scheduler: Any, workflow: Any
) -> None:
    executor.start()
    send(devnet, scheduler.functions.registerTask(workflow.address, FAR, HOUR))
    until(lambda: runs(workflow) == 1)
    assert workflow.functions.last_caller().call() == SCHEDULER
    devnet.chain.increase_time(LATER)
    until(lambda: runs(workflow) == 2)
    executor.close()


def test_executor__not_yet_due_or_stopped__sends_nothing(
    devnet: Devnet, executor: WorkflowExecutor, scheduler: Any, workflow: Any
) -> None:
    send(devnet, scheduler.functions.registerTask(workflow.address, FAR, HOUR))
    executor.run_due()
    head = devnet.chain.head.number
    executor.run_due()
    assert (runs(workflow), devnet.chain.head.number) == (1, head)
    send(devnet, scheduler.functions.stopTask(workflow.address))
    devnet.chain.increase_time(LATER)
    executor.run_due()
    assert runs(workflow) == 1


def test_executor__task_that_is_over__is_left(
    devnet: Devnet, executor: WorkflowExecutor, scheduler: Any, workflow: Any
) -> None:
    end = int(devnet.chain.pending_header().timestamp) + HOUR
    send(devnet, scheduler.functions.registerTask(workflow.address, end, 1))
    devnet.chain.increase_time(LATER)
    head = devnet.chain.head.number
    executor.run_due()
    assert (runs(workflow), devnet.chain.head.number) == (0, head)


def test_executor__run_that_reverts__is_tried_again_after_its_frequency_alone(
    devnet: Devnet, executor: WorkflowExecutor, scheduler: Any, workflow: Any
) -> None:
    send(devnet, workflow.functions.set_refuses(True))
    send(devnet, scheduler.functions.registerTask(workflow.address, FAR, HOUR))
    executor.run_due()
    head = devnet.chain.head.number
    executor.run_due()
    assert devnet.chain.head.number == head
    send(devnet, workflow.functions.set_refuses(False))
    devnet.chain.increase_time(LATER)
    executor.run_due()
    assert runs(workflow) == 1


def test_executor__chain_that_went_back__finds_its_tasks_again(
    devnet: Devnet, executor: WorkflowExecutor, scheduler: Any, workflow: Any
) -> None:
    snapshot = devnet.chain.rpc("evm_snapshot")
    send(devnet, scheduler.functions.registerTask(workflow.address, FAR, HOUR))
    executor.run_due()
    devnet.chain.rpc("evm_revert", [snapshot])
    executor.run_due()
    assert runs(workflow) == 0
    send(devnet, scheduler.functions.registerTask(workflow.address, FAR, HOUR))
    executor.run_due()
    assert runs(workflow) == 1
