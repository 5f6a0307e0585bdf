"""A constructor asks."""

import threading

from tests.kit.pipeline import PipelineFork


def test_constructor__asks__contract_is_there_once_it_is_answered(fork: PipelineFork) -> None:
    gate = threading.Event()
    fork.add_operator(gate=gate)
    message = {"from": fork.user, "data": "0x" + fork.creation(asks=True).hex(), "gas": hex(5_000_000)}
    sent = fork.chain.rpc("eth_sendTransaction", [message])
    assert fork.why(sent)["status"] == "waiting"
    gate.set()
    receipt = fork.settle(sent)
    assert receipt["status"] == 1
    created = fork.w3.eth.contract(receipt["contractAddress"], abi=fork.artifact["abi"])
    assert fork.results(created) == [2.5]
    assert fork.inferred(receipt) == 1


def test_constructor__estimate__gives_enough_gas(fork: PipelineFork) -> None:
    fork.add_operator()
    message = {"from": fork.user, "data": "0x" + fork.creation(asks=True).hex()}
    gas = fork.w3.eth.estimate_gas(message)
    sent = fork.w3.eth.send_transaction({**message, "gas": gas})
    assert fork.w3.eth.get_transaction_receipt(sent)["status"] == 1
