"""A request on a branch that a result opens, or that the state opens in the meantime."""

import threading

from foretell_evm.config import Mining
from foretell_spec.tensor import WAD
from tests.kit.pipeline import PipelineFork


def test_branch__opened_by_the_result__second_request_is_found_and_answered(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    fork.transact(fork.pipeline.functions.set_threshold(WAD))
    receipt = fork.settle(fork.send(fork.pipeline.functions.branch(fork.model_id, 5 * WAD)))
    assert receipt["status"] == 1
    assert fork.results() == [6, 5]
    assert len(alice.asked) == 2


def test_branch__closed_by_the_result__nothing_more_is_asked(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    fork.transact(fork.pipeline.functions.set_threshold(100 * WAD))
    fork.settle(fork.send(fork.pipeline.functions.branch(fork.model_id, 5 * WAD)))
    assert fork.results() == [6]
    assert len(alice.asked) == 1


def test_branch__opened_by_another_transaction__left_out_asked_again_and_in_a_later_block() -> None:
    fork = PipelineFork(mining=Mining.MANUAL)
    try:
        alice = fork.add_operator()
        fork.transact_now(fork.pipeline.functions.set_threshold(100 * WAD))
        sent = fork.send(fork.pipeline.functions.branch(fork.model_id, 5 * WAD))
        fork.until(lambda: fork.why(sent)["status"] == "ready")
        # It pays more, so it comes first in the block, and opens the branch.
        fork.send(fork.pipeline.functions.set_threshold(0), sender=fork.other, maxPriorityFeePerGas=10**10)
        fork.chain.mine()
        assert fork.why(sent)["status"] != "included"
        fork.until(lambda: fork.why(sent)["status"] == "ready")
        fork.chain.mine()
        assert fork.why(sent)["status"] == "included"
        assert fork.results() == [6, 5]
        assert len(alice.asked) == 2
    finally:
        fork.close()


def test_question__changed_by_another_transaction_while_it_waits__the_new_one_is_asked() -> None:
    fork = PipelineFork(mining=Mining.MANUAL)
    gate = threading.Event()
    try:
        alice = fork.add_operator(gate=gate)
        sent = fork.send(fork.pipeline.functions.ask_threshold(fork.model_id))
        assert fork.why(sent)["status"] == "waiting"
        fork.transact_now(fork.pipeline.functions.set_threshold(7 * WAD), sender=fork.other)
        gate.set()
        fork.until(lambda: fork.why(sent)["status"] == "ready")
        fork.chain.mine()
        assert fork.results() == [8]
        assert [job.inputs[0] for job in alice.asked] == [0, 7 * 128]
        assert fork.why(sent)["status"] == "included"
    finally:
        gate.set()
        fork.close()


def test_question__changed_in_every_block__stale_in_the_end() -> None:
    from foretell_evm.config import PoolLimits

    fork = PipelineFork(limits=PoolLimits(rounds=3), mining=Mining.MANUAL)
    try:
        fork.add_operator()
        sent = fork.send(fork.pipeline.functions.ask_threshold(fork.model_id))
        for number in range(1, 4):
            fork.until(lambda: fork.why(sent)["status"] == "ready")
            change = fork.pipeline.functions.set_threshold(number * WAD)
            fork.send(change, sender=fork.other, maxPriorityFeePerGas=10**10)
            fork.chain.mine()
        fork.until(lambda: fork.why(sent)["status"] == "evicted")
        assert fork.why(sent)["reason"] == "STALE"
    finally:
        fork.close()
