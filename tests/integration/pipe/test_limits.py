"""Queues, deadlines, limits and prices: who has to wait, who has to go, and with which reason."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from web3.exceptions import Web3RPCError

from foretell_evm.config import Mining, PoolLimits
from foretell_spec.tensor import WAD
from tests.kit.fork import ETHER, GAS
from tests.kit.pipeline import BIG_GAS, PipelineFork

LOW = {"maxFeePerGas": 20 * 10**9, "maxPriorityFeePerGas": 10**9}


@contextmanager
def limited(mining: Mining = Mining.AUTO, **limits: Any) -> Iterator[PipelineFork]:
    fork = PipelineFork(PoolLimits(**limits), mining)
    try:
        yield fork
    finally:
        fork.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def send(fork: PipelineFork, number: int, sender: str | None = None, **fields: Any) -> str:
    return fork.send(fork.pipeline.functions.several(fork.model_id, [number * WAD]), sender, **fields)


def end(fork: PipelineFork, transaction_hash: str) -> str:
    fork.until(lambda: fork.why(transaction_hash)["status"] == "evicted")
    why = fork.why(transaction_hash)
    assert why["code"] >= 32
    assert why["explanation"]
    return why["reason"]


# -- queues


def test_operator__more_questions_than_it_works_on_at_once__queue_and_are_all_answered() -> None:
    with limited(calls_per_operator=2) as fork:
        alice = fork.add_operator(delay=0.02)
        sent = [send(fork, number) for number in range(20)]
        assert all(fork.settle(each)["status"] == 1 for each in sent)
        assert len(alice.asked) == 20


def test_operator__hung_for_good__does_not_hold_up_the_questions_of_another(gate: threading.Event) -> None:
    with limited(calls_per_operator=1, queue_per_operator=8, patience=0.3, requests_per_sender=64) as fork:
        hung, busy = fork.add_operator("alice", gate=gate), fork.add_operator("bob")
        sent = [send(fork, number) for number in range(16)]
        assert all(fork.settle(each)["status"] == 1 for each in sent)
        assert len(hung.asked) <= 1
        assert len(busy.asked) == 16


def test_operator__queue_full_and_nobody_else__pool_full(gate: threading.Event) -> None:
    with limited(calls_per_operator=1, queue_per_operator=2) as fork:
        alice = fork.add_operator(gate=gate)
        sent = [send(fork, 0)]
        fork.until(lambda: len(alice.asked) == 1)
        sent += [send(fork, number) for number in range(1, 4)]
        assert end(fork, sent[-1]) == "POOL_FULL"
        gate.set()
        assert all(fork.settle(each)["status"] == 1 for each in sent[:-1])


# -- deadlines


def test_deadline__passes_in_a_queue__timeout_and_the_operator_is_never_asked(gate: threading.Event) -> None:
    with limited(calls_per_operator=1, deadline=1.5) as fork:
        alice = fork.add_operator(gate=gate)
        first = send(fork, 1)
        fork.until(lambda: len(alice.asked) == 1)
        second = send(fork, 2)
        assert [end(fork, first), end(fork, second)] == ["TIMEOUT", "TIMEOUT"]
        assert fork.chain.pool.pending == ()
        gate.set()
        third = send(fork, 3)
        assert fork.settle(third)["status"] == 1
        assert [job.inputs[0] for job in alice.asked] == [128, 3 * 128]


def test_deadline__of_one_who_joins__counts_from_when_it_joined(gate: threading.Event) -> None:
    with limited(deadline=3.0) as fork:
        alice = fork.add_operator(gate=gate)
        first = send(fork, 1)
        gate.wait(1.0)
        second = send(fork, 1, fork.other)
        assert end(fork, first) == "TIMEOUT"
        assert fork.why(second)["status"] == "waiting"
        gate.set()
        assert fork.settle(second)["status"] == 1
        assert len(alice.asked) == 1


def test_answer__after_the_deadline__is_kept_and_told_to_nobody(gate: threading.Event) -> None:
    with limited(deadline=1.0) as fork:
        alice = fork.add_operator(gate=gate)
        late = send(fork, 1)
        fork.until(lambda: bool(alice.asked))
        assert end(fork, late) == "TIMEOUT"
        gate.set()
        fork.until(lambda: bool(fork.chain.pool.answers(fork.job((WAD, WAD)).request_id)))
        assert fork.why(late)["reason"] == "TIMEOUT"
        assert fork.settle(send(fork, 1))["status"] == 1
        assert len(alice.asked) == 1


def test_withdrawn__while_it_waits_in_a_queue__operator_is_never_asked(gate: threading.Event) -> None:
    with limited(calls_per_operator=1) as fork:
        alice = fork.add_operator(gate=gate)
        first = send(fork, 1)
        fork.until(lambda: len(alice.asked) == 1)
        second = send(fork, 2)
        fork.chain.rpc("anvil_dropTransaction", [second])
        gate.set()
        fork.settle(first)
        fork.settle(send(fork, 3))
        assert [job.inputs[0] for job in alice.asked] == [128, 3 * 128]


def test_call__that_gives_up__takes_its_question_back(gate: threading.Event) -> None:
    from dataclasses import replace

    from foretell_evm.config import ChainConfig
    from tests.kit.fork import GENESIS_TIME, Fork

    fork = Fork(replace(ChainConfig(genesis_time=GENESIS_TIME), call_waits=0.2))
    try:
        fork.add_operator(gate=gate)
        with pytest.raises(Web3RPCError, match="TIMEOUT"):
            fork.infer()
        assert fork.chain.pool.pending == ()
    finally:
        fork.close()


def test_lifetime__of_a_transaction_behind_a_gap__expired() -> None:
    with limited(lifetime=0.2) as fork:
        nonce = fork.w3.eth.get_transaction_count(fork.user)
        behind = fork.w3.eth.send_transaction(
            {"from": fork.user, "to": fork.other, "value": 1, "gas": 21_000, "nonce": nonce + 1}
        ).to_0x_hex()
        assert fork.why(behind)["status"] == "ready"
        threading.Event().wait(0.3)
        fork.chain.mine()
        assert end(fork, behind) == "EXPIRED"


# -- limits


def test_limit__questions_of_a_sender__others_go_on(gate: threading.Event) -> None:
    with limited(requests_per_sender=2) as fork:
        fork.add_operator(gate=gate)
        sent = [send(fork, number) for number in range(2)]
        with pytest.raises(Web3RPCError, match="SENDER_LIMIT"):
            send(fork, 2)
        # The same question once more is no further one, and another sender has a share of its own.
        sent += [send(fork, 1), send(fork, 2, fork.other)]
        gate.set()
        assert all(fork.settle(each)["status"] == 1 for each in sent)
        assert fork.settle(send(fork, 3))["status"] == 1


def test_limit__questions_in_all__pool_full(gate: threading.Event) -> None:
    with limited(requests=2) as fork:
        fork.add_operator(gate=gate)
        for number in range(2):
            send(fork, number, fork.w3.eth.accounts[number + 1])
        with pytest.raises(Web3RPCError, match="POOL_FULL"):
            send(fork, 2, fork.w3.eth.accounts[3])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"transactions": 2}, "POOL_FULL"), ({"transactions_per_sender": 2}, "SENDER_LIMIT")],
)
def test_limit__transactions__refused_at_the_door_and_why_knows(limits: dict[str, int], reason: str) -> None:
    with limited(Mining.MANUAL, **limits) as fork:
        nonce = fork.w3.eth.get_transaction_count(fork.user)
        raw = []
        for index in range(3):
            message = {"to": fork.other, "value": 1, "gas": 21_000, "nonce": nonce + index, "chainId": 31337}
            key = fork.chain.accounts[1].key.to_bytes()
            raw.append(fork.w3.eth.account.sign_transaction({**message, **LOW}, key))
        for each in raw[:2]:
            fork.w3.eth.send_raw_transaction(each.raw_transaction)
        with pytest.raises(Web3RPCError):
            fork.w3.eth.send_raw_transaction(raw[2].raw_transaction)
        assert fork.why(raw[2].hash.to_0x_hex())["reason"] == reason


def test_limit__bundles_of_one_transaction__more_than_a_block_may_carry() -> None:
    with limited(bundles_per_block=2) as fork:
        fork.add_operator()
        values = [number * WAD for number in range(3)]
        sent = fork.send(fork.pipeline.functions.several(fork.model_id, values), gas=BIG_GAS)
        assert end(fork, sent) == "BLOCK_LIMIT"
        fits = fork.send(fork.pipeline.functions.several(fork.model_id, values[:2]), gas=BIG_GAS)
        assert fork.settle(fits)["status"] == 1


def test_limit__bundles_of_a_block__who_does_not_fit_is_told_and_is_in_the_next() -> None:
    with limited(Mining.MANUAL, bundles_per_block=2) as fork:
        fork.add_operator()
        senders = fork.w3.eth.accounts[1:5]
        # The third asks what the first asks: it takes no room.
        sent = [send(fork, number % 2, sender) for number, sender in enumerate(senders[:3])]
        sent.append(send(fork, 2, senders[3]))
        fork.until(lambda: all(fork.why(each)["status"] == "ready" for each in sent))
        fork.chain.mine()
        assert [fork.why(each)["status"] for each in sent] == ["included"] * 3 + ["ready"]
        assert fork.why(sent[3])["reason"] == "BLOCK_LIMIT"
        fork.chain.mine()
        assert fork.why(sent[3])["status"] == "included"


def test_invalid__once_the_sender_cannot_pay_any_more__told() -> None:
    with limited(Mining.MANUAL) as fork:
        sent = fork.w3.eth.send_transaction(
            {"from": fork.user, "to": fork.other, "value": ETHER, "gas": 21_000}
        ).to_0x_hex()
        fork.chain.rpc("anvil_setBalance", [fork.user, hex(10**9)])
        fork.chain.mine()
        assert end(fork, sent) == "INVALID"


# -- prices


def test_price__sender_cannot_pay_for_all_its_transactions__asks_nothing(gate: threading.Event) -> None:
    with limited() as fork:
        alice = fork.add_operator(gate=gate)
        cost = GAS * LOW["maxFeePerGas"]
        fork.chain.rpc("anvil_setBalance", [fork.user, hex(cost * 3 // 2)])
        nonce = fork.w3.eth.get_transaction_count(fork.user)
        first = send(fork, 1, nonce=nonce, **LOW)
        with pytest.raises(Web3RPCError, match="PRICE"):
            send(fork, 2, nonce=nonce + 1, **LOW)
        gate.set()
        assert fork.settle(first)["status"] == 1
        assert len(alice.asked) == 1


def replace_without_end(fork: PipelineFork, count: int) -> list[str]:
    """Ask something new with the same nonce and a higher fee, again and again; the hashes."""
    nonce = fork.w3.eth.get_transaction_count(fork.user)
    fees = [10**10 * 2**number for number in range(count)]
    return [
        send(fork, number, nonce=nonce, gas=400_000, maxFeePerGas=fee, maxPriorityFeePerGas=fee)
        for number, fee in enumerate(fees)
    ]


def test_price__too_many_questions_that_came_to_no_block__sender_asks_no_more(gate: threading.Event) -> None:
    with limited(unlanded_per_sender=3) as fork:
        fork.add_operator(gate=gate)
        with pytest.raises(Web3RPCError, match="came to no block"):
            replace_without_end(fork, 4)
        other = send(fork, 9, fork.other)
        with pytest.raises(Web3RPCError, match="came to no block"):
            send(fork, 10)
        gate.set()
        assert fork.settle(other)["status"] == 1
        # What asks nothing costs nobody anything.
        assert fork.settle(fork.send(fork.pipeline.functions.set_threshold(1)))["status"] == 1


def test_price__forgiven_with_time__asks_again(gate: threading.Event) -> None:
    with limited(unlanded_per_sender=2, forgiven_every=0.4) as fork:
        fork.add_operator(gate=gate)
        with pytest.raises(Web3RPCError, match="came to no block"):
            replace_without_end(fork, 3)
        gate.set()
        threading.Event().wait(1.0)
        assert fork.settle(send(fork, 20))["status"] == 1


def test_price__operators_that_fail__cost_the_sender_nothing() -> None:
    def fail(job: Any) -> tuple[int, ...]:
        raise RuntimeError("no")

    with limited(unlanded_per_sender=2) as fork:
        fork.add_operator(answers=fail)
        for number in range(4):
            assert end(fork, send(fork, number)) == "NO_OPERATOR"
