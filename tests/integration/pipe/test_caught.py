"""Requests behind ``revert_on_failure=False`` and try/catch: waiting is not a failure that can be caught."""

import threading
from typing import Any

import pytest

from foretell_spec.reasons import Reason, reason_of
from foretell_spec.tensor import WAD
from tests.kit.pipeline import PipelineFork


@pytest.fixture(params=["Vyper", "Solidity"])
def catcher(request: pytest.FixtureRequest, fork: PipelineFork) -> Any:
    return fork.pipeline if request.param == "Vyper" else fork.deploy_catcher()


def test_caught__answer_is_not_there_yet__waits_and_then_succeeds(fork: PipelineFork, catcher: Any) -> None:
    gate = threading.Event()
    fork.add_operator(gate=gate)
    sent = fork.send(catcher.functions.caught(fork.model_id, WAD, 1))
    assert fork.why(sent)["status"] == "waiting"
    gate.set()
    assert fork.settle(sent)["status"] == 1
    assert catcher.functions.count().call() == 1
    assert catcher.functions.failed().call() is False


def test_caught__answer_never_comes__no_failure_is_seen(fork: PipelineFork, catcher: Any) -> None:
    sent = fork.send(catcher.functions.caught(fork.model_id, WAD, 1))
    fork.until(lambda: fork.why(sent)["status"] == "evicted")
    assert fork.why(sent)["reason"] == "NO_OPERATOR"
    assert catcher.functions.count().call() == 0


@pytest.mark.parametrize(
    ("value", "assurance", "reason"),
    [(WAD, 3, Reason.ASSURANCE_UNAVAILABLE), (2**254, 1, Reason.BAD_INPUT)],
)
def test_caught__refusal__goes_on_with_the_reason(
    fork: PipelineFork, catcher: Any, value: int, assurance: int, reason: Reason
) -> None:
    receipt = fork.settle(fork.send(catcher.functions.caught(fork.model_id, value, assurance)))
    assert receipt["status"] == 1
    assert catcher.functions.failed().call() is True
    assert reason_of(catcher.functions.failure().call()) is reason


def test_caught__call_around_it_reverts__nothing_is_kept_and_the_rest_goes_on(fork: PipelineFork) -> None:
    fork.add_operator()
    other = fork.deploy_pipeline()
    receipt = fork.settle(
        fork.send(fork.pipeline.functions.caught_in(other.address, fork.model_id, WAD), gas=6_000_000)
    )
    assert receipt["status"] == 1
    assert fork.pipeline.functions.failed().call() is True
    assert fork.results(other) == []
    assert fork.inferred(receipt) == 0
    # The call was run with the answer, so a block that anybody can check has to carry it.
    assert len(fork.chain.head.sidecar.answers) == 1
