"""The same request by many transactions, calls and blocks is computed once."""

import threading

from foretell_spec.tensor import WAD
from tests.kit.pipeline import PipelineFork


def test_same_request__of_many_transactions_under_way__one_call_of_an_operator(fork: PipelineFork) -> None:
    gate = threading.Event()
    alice = fork.add_operator(gate=gate)
    senders = fork.w3.eth.accounts[1:9]
    call = fork.pipeline.functions.several(fork.model_id, [WAD])
    sent = [fork.send(call, sender=sender) for sender in senders]
    assert len(fork.chain.pool.pending) == 1
    gate.set()
    assert all(fork.settle(each)["status"] == 1 for each in sent)
    assert len(alice.asked) == 1


def test_same_request__later__answer_is_there_at_once(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    call = fork.pipeline.functions.several(fork.model_id, [WAD])
    fork.settle(fork.send(call))
    before = fork.chain.head.number
    fork.send(call)
    assert fork.chain.head.number == before + 1
    assert len(alice.asked) == 1


def test_same_request__at_other_assurance__is_another_question(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    fork.settle(fork.send_ask(assurance=1))
    fork.settle(fork.send_ask(assurance=4))
    fork.settle(fork.send_ask(assurance=1))
    assert [int(job.min_assurance) for job in alice.asked] == [1, 4]
