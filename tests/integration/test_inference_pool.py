"""Transactions that wait for inferences: pool, builder and mempool together, with scripted operators."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from web3.exceptions import Web3RPCError

from foretell_evm.config import ChainConfig, Mining, PoolLimits
from foretell_evm.errors import InferenceUnavailable
from foretell_evm.full_node import FullNode
from foretell_spec.reasons import Reason
from foretell_spec.tensor import WAD
from tests.kit.fork import ETHER, GENESIS_TIME, INPUTS, PROOF, Fork, add_up

LIMITS = PoolLimits(
    deadline=6.0, patience=0.3, requests=6, requests_per_sender=3, bundles_per_block=2, rounds=4
)


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=LIMITS))
    yield made
    made.close()


def wrong(job) -> tuple[int, ...]:
    return (sum(job.inputs) + 1,)


def fail(job) -> tuple[int, ...]:
    raise RuntimeError("the model file is gone")


def first_and_second(fork: Fork, first: dict, second: dict):
    """Two operators, in the order in which the question of ``INPUTS`` is asked of them now."""
    operators = fork.in_order("alice", "bob")
    for operator, script in zip(operators, (first, second), strict=True):
        vars(operator).update(script)
    return operators


def refused(fork: Fork, transaction_hash: str) -> Reason:
    fork.until(lambda: fork.why(transaction_hash)["status"] == "evicted")
    return Reason[fork.why(transaction_hash)["reason"]]


def test_ask__waiting__is_in_no_block_and_others_are(fork: Fork) -> None:
    gate = threading.Event()
    fork.add_operator(gate=gate)
    waiting = fork.send_ask()
    other = fork.w3.eth.send_transaction({"from": fork.other, "to": fork.user, "value": 1})

    assert fork.w3.eth.get_transaction_receipt(other)["status"] == 1
    assert fork.why(waiting)["status"] == "waiting"
    assert fork.chain.rpc("eth_getTransactionReceipt", [waiting]) is None
    assert fork.w3.eth.get_transaction(waiting)["blockNumber"] is None

    gate.set()
    assert fork.settle(waiting)["status"] == 1
    assert fork.why(waiting)["status"] == "included"


def test_ask__same_question_of_many__computed_once(fork: Fork) -> None:
    gate = threading.Event()
    alice = fork.add_operator(gate=gate)
    sent = [fork.send_ask(sender=sender) for sender in fork.w3.eth.accounts[1:6]]
    gate.set()
    assert [fork.settle(each)["status"] for each in sent] == [1] * 5
    assert len(alice.asked) == 1


def test_ask__first_drawn_is_asked_alone(fork: Fork) -> None:
    first, second = first_and_second(fork, first={}, second={})
    fork.settle(fork.send_ask())
    assert (len(first.asked), len(second.asked)) == (1, 0)


@pytest.mark.parametrize(
    "script", [{"answers": fail}, {"delay": 3.0}, {"change": lambda b: replace(b, outputs=(9,))}]
)
def test_ask__first_drawn_fails_or_is_slow_or_lies__second_answers(fork: Fork, script) -> None:
    _, second = first_and_second(fork, first=script, second={})
    fork.settle(fork.send_ask())
    (bundle,) = fork.chain.head.sidecar.answers[0].bundles
    assert bundle.operator == second.address


def test_ask__late_different_answer__kept_as_evidence_and_only_a_proof_counts_then(fork: Fork) -> None:
    liar, honest = first_and_second(fork, first={"answers": wrong, "delay": 0.8, "proof": b""}, second={})
    fork.settle(fork.send_ask())
    fork.until(lambda: bool(fork.chain.pool.dissents()))

    (found,) = fork.chain.pool.dissents()
    assert {found.first.operator, found.second.operator} == {liar.address, honest.address}
    assert found.first.outputs != found.second.outputs
    assert len(fork.chain.rpc("foretell_pool")["dissents"]) == 1

    fork.settle(fork.send_ask(assurance=1))
    (bundle,) = fork.chain.head.sidecar.answers[0].bundles
    assert bundle.proof == PROOF
    assert bundle.operator == honest.address
    assert fork.chain.head.sidecar.dissents == (found,)
    (shown,) = fork.chain.rpc("foretell_dissents")
    assert [each["operator"] for each in shown["claims"]] == [found.first.operator, found.second.operator]
    assert shown["claims"][0]["outputs"] == [str(q) for q in found.first.outputs]
    node = FullNode(fork.config)
    for number in range(1, fork.chain.head.number + 1):
        node.import_block(*fork.sidecar(number))
    assert node.head.block.hash == fork.chain.head.block.hash


def test_ask__disagreement_that_nobody_proves__undetermined(fork: Fork) -> None:
    first_and_second(fork, first={"answers": wrong, "delay": 0.8, "proof": b""}, second={"proof": b""})
    fork.settle(fork.send_ask())
    fork.until(lambda: bool(fork.chain.pool.dissents()))
    assert refused(fork, fork.send_ask(assurance=1)) is Reason.UNDETERMINED


def test_ask__error_of_one_who_waits__does_not_keep_the_others_waiting(fork: Fork) -> None:
    gate, told = threading.Event(), threading.Event()
    fork.add_operator(gate=gate)
    job = fork.job()

    def fail(failure: object) -> None:
        raise RuntimeError("a waiter's own error")

    fork.chain.pool.ask(job, fork.user, fail)
    fork.chain.pool.ask(job, fork.other, lambda failure: told.set())
    gate.set()
    assert told.wait(20)


def test_ask__no_operator__evicted_with_reason(fork: Fork) -> None:
    assert refused(fork, fork.send_ask()) is Reason.NO_OPERATOR


def test_ask__operator_without_bond__not_drawn(fork: Fork) -> None:
    mallory = fork.add_operator("mallory", bond=0)
    assert refused(fork, fork.send_ask()) is Reason.NO_OPERATOR
    assert mallory.asked == []


def test_ask__bad_evidence_alone__evicted_with_reason(fork: Fork) -> None:
    fork.add_operator(change=lambda bundle: replace(bundle, outputs=(9,)))
    assert refused(fork, fork.send_ask()) is Reason.BAD_EVIDENCE


def test_ask__wrong_output_with_proof__does_not_get_in(fork: Fork) -> None:
    fork.add_operator(answers=wrong)
    assert refused(fork, fork.send_ask(assurance=4)) is Reason.BAD_EVIDENCE


def test_ask__hung_operator__timeout() -> None:
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=replace(LIMITS, deadline=0.4)))
    gate = threading.Event()
    try:
        fork.add_operator(gate=gate)
        assert refused(fork, fork.send_ask()) is Reason.TIMEOUT
    finally:
        gate.set()
        fork.close()


def test_send__limits_of_the_pool__refused_with_reason(fork: Fork) -> None:
    gate = threading.Event()
    fork.add_operator(gate=gate)
    users = fork.w3.eth.accounts
    for index in range(3):
        fork.send_ask((WAD * index, WAD), sender=users[1])
    with pytest.raises(Web3RPCError, match="SENDER_LIMIT"):
        fork.send_ask((WAD * 3, WAD), sender=users[1])
    for index in range(3, 6):
        fork.send_ask((WAD * index, WAD), sender=users[2])
    with pytest.raises(Web3RPCError, match="POOL_FULL"):
        fork.send_ask((WAD * 6, WAD), sender=users[3])
    gate.set()
    fork.until(lambda: not len(fork.chain.mempool))


def test_send__waits__raises_the_reason() -> None:
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, send_waits=10))
    try:
        with pytest.raises(Web3RPCError, match="NO_OPERATOR"):
            fork.send_ask()
        fork.add_operator()
        assert fork.w3.eth.get_transaction_receipt(fork.send_ask())["status"] == 1
    finally:
        fork.close()


def test_build__more_bundles_than_a_block_may_have__spread_over_blocks() -> None:
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=LIMITS, mining=Mining.MANUAL))
    try:
        fork.add_operator()
        users = fork.w3.eth.accounts[1:6]
        sent = [fork.send_ask((WAD * index, WAD), sender=user) for index, user in enumerate(users)]
        fork.until(lambda: all(fork.why(each)["status"] == "ready" for each in sent))
        fork.chain.mine(3)
        blocks = fork.chain.history.blocks(fork.chain.head.number - 2, fork.chain.head.number)
        assert [len(record.sidecar.answers) for record in blocks] == [2, 2, 1]
        assert all(fork.why(each)["status"] == "included" for each in sent)
    finally:
        fork.close()


def test_build__transaction_asks_for_something_else__left_out_then_in_a_later_block() -> None:
    """The deployment that it calls is pending when it is pre-executed, so that asks for nothing then."""
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, mining=Mining.MANUAL))
    try:
        alice = fork.add_operator()
        from eth_abi import encode
        from eth_utils import keccak, to_checksum_address
        from rlp import encode as rlp_encode

        from foretell_contracts import load
        from foretell_spec.addresses import SETTLEMENT

        artifact = load("Ask")
        nonce = fork.w3.eth.get_transaction_count(fork.user)
        created = to_checksum_address(keccak(rlp_encode([bytes.fromhex(fork.user[2:]), nonce]))[12:])
        code = artifact.bytecode + encode(["address"], [SETTLEMENT])
        fork.w3.eth.send_transaction({"from": fork.user, "data": code, "gas": 3_000_000})
        call = fork.w3.eth.contract(created, abi=artifact.abi).functions.ask(fork.model_id, list(INPUTS), 1)
        sent = "0x" + bytes(call.transact({"from": fork.user, "gas": 3_000_000})).hex()
        assert fork.why(sent)["status"] == "ready"
        assert alice.asked == []

        fork.chain.mine()
        fork.until(lambda: fork.why(sent)["status"] == "ready")
        fork.chain.mine()

        assert fork.w3.eth.get_transaction_receipt(sent)["status"] == 1
        assert len(alice.asked) == 1
    finally:
        fork.close()


def test_build__operator_unbonds_between_answer_and_block__not_used() -> None:
    fork = Fork(ChainConfig(genesis_time=GENESIS_TIME, mining=Mining.MANUAL))
    try:
        alice = fork.add_operator()
        sent = fork.send_ask()
        fork.until(lambda: fork.why(sent)["status"] == "ready")
        unbond = fork.operators.functions.begin_unbond(10 * ETHER)
        built = unbond.build_transaction({"from": alice.address, "gas": 200_000, "nonce": 1})
        signed = fork.w3.eth.account.sign_transaction(built, alice.key.to_bytes())
        raw = fork.w3.eth.send_raw_transaction(signed.raw_transaction)
        fork.chain.mine()
        # Evidence counts in the parent state: in the block that unbonds it still does.
        assert fork.w3.eth.get_transaction_receipt(raw)["status"] == 1
        assert fork.why(sent)["status"] == "included"

        late = fork.send_ask()
        assert refused(fork, late) is Reason.NO_OPERATOR
    finally:
        fork.close()


def test_blocks__of_waiting_transactions__imported_by_a_full_node(fork: Fork) -> None:
    fork.add_operator(delay=0.05)
    sent = [fork.send_ask((WAD, WAD * index), 1 + 3 * (index % 2)) for index in range(3)]
    for each in sent:
        fork.settle(each)
    node = FullNode(fork.config)
    for number in range(1, fork.chain.head.number + 1):
        node.import_block(*fork.sidecar(number))
    assert node.head.block.hash == fork.chain.head.block.hash


def test_call_and_estimate__without_answer__get_one_and_compute_once(fork: Fork) -> None:
    alice = fork.add_operator()
    call = fork.ask.functions.ask(fork.model_id, list(INPUTS), 1)
    assert tuple(call.call({"from": fork.user})) == fork.right()
    gas = call.estimate_gas({"from": fork.user})
    assert len(alice.asked) == 1
    assert fork.transact(call, sender=fork.user, gas=gas - 1)["status"] == 0
    assert fork.transact(call, sender=fork.user, gas=gas)["status"] == 1


def test_call__nobody_answers__error_names_the_reason(fork: Fork) -> None:
    with pytest.raises(Web3RPCError, match="NO_OPERATOR"):
        fork.infer()


def test_pool__closed__waiters_are_told(fork: Fork) -> None:
    gate = threading.Event()
    fork.add_operator(gate=gate)
    failures: list[InferenceUnavailable | None] = []
    told = threading.Event()
    sent = fork.send_ask()
    job = fork.chain.mempool.get(bytes.fromhex(sent[2:])).job
    fork.chain.pool.ask(job, "somebody", lambda failure: (failures.append(failure), told.set()))
    fork.chain.close()
    assert told.wait(5)
    assert failures[0] is not None
    gate.set()


def test_add_up__is_what_the_circuit_proves(fork: Fork) -> None:
    fork.add_operator(answers=add_up)
    assert fork.infer(assurance=4)[0] == fork.right()
