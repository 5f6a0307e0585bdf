"""A transaction that waits is replaced by one with the same nonce: by a higher fee, or to cancel it."""

import threading
from collections.abc import Iterator

import pytest

from foretell_spec.tensor import WAD
from tests.kit.pipeline import PipelineFork

LOW = {"maxFeePerGas": 20 * 10**9, "maxPriorityFeePerGas": 10**9}
HIGH = {"maxFeePerGas": 40 * 10**9, "maxPriorityFeePerGas": 2 * 10**9}


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def nonce_of(fork: PipelineFork) -> int:
    return fork.w3.eth.get_transaction_count(fork.user)


def test_replacement__by_fee__first_ends_second_lands_and_the_question_is_asked_once(
    fork: PipelineFork, gate: threading.Event
) -> None:
    alice = fork.add_operator(gate=gate)
    call, nonce = fork.pipeline.functions.several(fork.model_id, [WAD]), nonce_of(fork)
    first = fork.send(call, nonce=nonce, **LOW)
    second = fork.send(call, nonce=nonce, **HIGH)

    assert fork.why(first)["reason"] == "REPLACED"
    assert second[2:] in fork.why(first)["detail"]
    gate.set()
    assert fork.settle(second)["status"] == 1
    assert fork.results() == [2]
    assert len(alice.asked) == 1


def test_replacement__by_another_question__first_question_is_taken_back(
    fork: PipelineFork, gate: threading.Event
) -> None:
    fork.add_operator(gate=gate)
    nonce = nonce_of(fork)
    fork.send(fork.pipeline.functions.several(fork.model_id, [WAD]), nonce=nonce, **LOW)
    second = fork.send(fork.pipeline.functions.several(fork.model_id, [2 * WAD]), nonce=nonce, **HIGH)
    (job,) = fork.chain.pool.pending
    assert job.inputs[0] == 256
    gate.set()
    fork.settle(second)
    assert fork.results() == [3]


def test_cancellation__by_a_transfer_to_oneself__question_is_taken_back_and_nobody_told(
    fork: PipelineFork, gate: threading.Event
) -> None:
    alice = fork.add_operator(gate=gate)
    nonce = nonce_of(fork)
    waiting = fork.send(fork.pipeline.functions.several(fork.model_id, [WAD]), nonce=nonce, **LOW)
    fork.until(lambda: bool(alice.asked))
    cancel = fork.w3.eth.send_transaction(
        {"from": fork.user, "to": fork.user, "value": 0, "gas": 21_000, "nonce": nonce, **HIGH}
    )
    assert fork.w3.eth.get_transaction_receipt(cancel)["status"] == 1
    assert fork.why(waiting)["reason"] == "REPLACED"
    assert fork.chain.pool.pending == ()
    gate.set()
    # The answer that was under way is kept: whoever asks next has it at once.
    fork.until(lambda: bool(fork.chain.pool.answers(fork.job((WAD, WAD)).request_id)))
    assert fork.results() == []


def test_replacement__that_pays_too_little__is_refused_and_the_first_goes_on(
    fork: PipelineFork, gate: threading.Event
) -> None:
    fork.add_operator(gate=gate)
    call, nonce = fork.pipeline.functions.several(fork.model_id, [WAD]), nonce_of(fork)
    first = fork.send(call, nonce=nonce, **LOW)
    with pytest.raises(Exception, match="replacement transaction underpriced"):
        fork.send(call, nonce=nonce, maxFeePerGas=21 * 10**9, maxPriorityFeePerGas=10**9)
    gate.set()
    assert fork.settle(first)["status"] == 1


def test_drop__of_a_waiting_transaction__question_is_taken_back(
    fork: PipelineFork, gate: threading.Event
) -> None:
    fork.add_operator(gate=gate)
    waiting = fork.send(fork.pipeline.functions.several(fork.model_id, [WAD]))
    assert fork.chain.rpc("anvil_dropTransaction", [waiting])
    assert fork.why(waiting)["reason"] == "DROPPED"
    assert fork.chain.pool.pending == ()


def test_revert_to_a_snapshot__before_a_waiting_transaction__ends_it(
    fork: PipelineFork, gate: threading.Event
) -> None:
    fork.add_operator(gate=gate)
    snapshot = fork.chain.snapshot()
    waiting = fork.send(fork.pipeline.functions.several(fork.model_id, [WAD]))
    fork.chain.revert(snapshot)
    assert fork.why(waiting)["reason"] == "DROPPED"
    assert fork.chain.pool.pending == ()


def test_revert_to_a_snapshot__with_a_waiting_transaction__it_goes_on(
    fork: PipelineFork, gate: threading.Event
) -> None:
    fork.add_operator(gate=gate)
    waiting = fork.send(fork.pipeline.functions.several(fork.model_id, [WAD]))
    fork.chain.revert(fork.chain.snapshot())
    assert fork.why(waiting)["status"] == "waiting"
    gate.set()
    assert fork.settle(waiting)["status"] == 1
