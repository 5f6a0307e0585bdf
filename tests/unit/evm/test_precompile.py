"""The native precompile, called as contracts call it."""

import pytest
from eth_abi import decode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from web3.exceptions import ContractCustomError

from foretell_spec.abi import ASSURANCE_OF, INFERRED_TOPIC, RECEIPT, RECEIPT_WORDS
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.gas import required_gas
from foretell_spec.reasons import Reason, revert_data
from foretell_spec.request import precompile_request_id, receipt_id
from foretell_spec.tensor import WAD, quantise, tensor_hash
from tests.kit.fork import INPUTS, Fork
from tests.kit.manifest import SCALE


def refusal(fork: Fork, data: bytes, **fields) -> Reason | None:
    """The reason with which a call of the precompile reverts."""
    with pytest.raises(ContractCustomError) as caught:
        fork.w3.eth.call({"to": PRECOMPILE, "data": data, **fields})
    for reason in Reason:
        if caught.value.data == "0x" + revert_data(reason).hex():
            return reason
    return None


def forwarder(opcode: str) -> bytes:
    """Creation code of a contract that forwards its calldata to the precompile, and the answer back."""
    to = bytes.fromhex(PRECOMPILE[2:])
    value = "" if opcode in ("f4", "fa") else "5f"
    runtime = bytes.fromhex("365f5f37" + "5f5f365f" + value) + b"\x73" + to + bytes.fromhex("5a" + opcode)
    runtime += (
        bytes.fromhex("3d5f5f3e") + b"\x60" + bytes([len(runtime) + 10]) + bytes.fromhex("573d5ffd5b3d5ff3")
    )
    size = len(runtime)
    return bytes.fromhex(f"60{size:02x}600a5f39" + f"60{size:02x}5ff3").ljust(10, b"\0")[:10] + runtime


def test_infer__answered__gives_outputs_and_stores_receipt(fork: Fork) -> None:
    alice = fork.add_operator()

    receipt = fork.settle(fork.send_ask())

    inputs = quantise(INPUTS, SCALE)
    request = precompile_request_id(31337, fork.model_id, tensor_hash(inputs))
    expected = receipt_id(request, tensor_hash((sum(inputs),)), alice.address)
    assert receipt["status"] == 1
    (event,) = [log for log in receipt["logs"] if log["address"] == PRECOMPILE]
    assert [bytes(topic) for topic in event["topics"][:3]] == [INFERRED_TOPIC, expected, fork.model_id]
    stored = decode(RECEIPT_WORDS, fork.w3.eth.call({"to": PRECOMPILE, "data": RECEIPT + expected}))
    assert stored == (
        request, fork.model_id, tensor_hash(inputs), tensor_hash((sum(inputs),)),
        alice.address.lower(), 1, receipt["blockNumber"],
    )  # fmt: skip
    assurance = fork.w3.eth.call({"to": PRECOMPILE, "data": ASSURANCE_OF + expected})
    assert int.from_bytes(assurance, "big") == 1
    assert fork.ask.functions.answer_of(expected).call()[3] == list(fork.right())


def test_infer__proven_after_signed__raises_assurance(fork: Fork) -> None:
    fork.add_operator()
    fork.settle(fork.send_ask())
    _, receipt = fork.infer()

    fork.settle(fork.send_ask(assurance=4))

    assert fork.chain.rpc("foretell_receipt", ["0x" + receipt.hex()])["assuranceName"] == "PROVEN"


def test_infer__signed_after_proven__keeps_assurance(fork: Fork) -> None:
    fork.add_operator()
    fork.settle(fork.send_ask(assurance=4))
    _, receipt = fork.infer()

    last = fork.settle(fork.send_ask(assurance=1))

    stored = fork.chain.rpc("foretell_receipt", ["0x" + receipt.hex()])
    assert stored["assuranceName"] == "PROVEN"
    assert stored["blockNumber"] == hex(last["blockNumber"])


def test_infer__static__gives_same_answer_and_writes_nothing(fork: Fork) -> None:
    fork.add_operator()
    outputs, receipt = fork.infer()
    forward = fork.create(forwarder("fa"))
    before = fork.w3.eth.get_block("latest")["stateRoot"]

    sent = fork.w3.eth.send_transaction(
        {"from": fork.user, "to": forward, "data": fork.infer_data(), "gas": 500_000, "gasPrice": 10**9}
    )
    included = fork.settle("0x" + bytes(sent).hex())

    assert included["status"] == 1
    assert included["logs"] == []
    assert fork.chain.rpc("foretell_receipt", ["0x" + receipt.hex()]) is None
    output = fork.w3.eth.call({"to": forward, "data": fork.infer_data()})
    assert decode(["int256[]", "bytes32"], output) == (outputs, receipt)
    assert fork.w3.eth.get_block("latest")["stateRoot"] != before  # the fee alone


@pytest.mark.parametrize("opcode", ["f4", "f2"])
def test_infer__delegatecall_or_callcode__refused(fork: Fork, opcode: str) -> None:
    fork.add_operator()
    forward = fork.create(forwarder(opcode))
    for data in (fork.infer_data(), ASSURANCE_OF + b"\1" * 32):
        with pytest.raises(ContractCustomError) as caught:
            fork.w3.eth.call({"to": forward, "data": data})
        assert caught.value.data == "0x" + revert_data(Reason.DELEGATED_CALL).hex()


def test_forwarder__call__reaches_the_precompile(fork: Fork) -> None:
    fork.add_operator()
    forward = fork.create(forwarder("f1"))
    output = fork.w3.eth.call({"to": forward, "data": fork.infer_data()})
    assert decode(["int256[]", "bytes32"], output)[0] == fork.right()


def test_infer__with_ether__refused(fork: Fork) -> None:
    assert refusal(fork, fork.infer_data(), value=1, **{"from": fork.user}) is Reason.NOT_PAYABLE


def test_call__unknown_selector__refused(fork: Fork) -> None:
    assert refusal(fork, b"") is Reason.UNKNOWN_FUNCTION
    assert refusal(fork, b"\1\2\3\4") is Reason.UNKNOWN_FUNCTION


@pytest.mark.parametrize(
    "change", [lambda data: data + b"\0" * 31 + b"\1", lambda data: data[:-1], lambda data: data[:4]]
)
def test_infer__non_canonical_calldata__refused(fork: Fork, change) -> None:
    assert refusal(fork, change(fork.infer_data())) is Reason.BAD_CALLDATA


def test_infer__unknown_model__refused(fork: Fork) -> None:
    data = fork.infer_data().replace(fork.model_id, keccak(text="unknown"))
    assert refusal(fork, data) is Reason.UNKNOWN_MODEL


def test_infer__stopped_model__refused(fork: Fork) -> None:
    fork.add_operator()
    fork.infer()
    fork.transact(fork.models.functions.stop(fork.model_id))
    assert refusal(fork, fork.infer_data()) is Reason.MODEL_STOPPED


@pytest.mark.parametrize("inputs", [(WAD,), (WAD, WAD, WAD), (), (2000 * WAD, 0), (2**254, 0)])
def test_infer__input_outside_the_model__refused(fork: Fork, inputs) -> None:
    assert refusal(fork, fork.infer_data(inputs)) is Reason.BAD_INPUT


def test_infer__assurance_of_no_evidence_here__refused(fork: Fork) -> None:
    assert refusal(fork, fork.infer_data(assurance=3)) is Reason.ASSURANCE_UNAVAILABLE


def test_infer__costs_the_schedule(fork: Fork) -> None:
    fork.add_operator()
    fork.infer()
    data = fork.infer_data()
    receipt = fork.settle(
        "0x" + bytes(fork.w3.eth.send_transaction({"from": fork.user, "to": PRECOMPILE, "data": data})).hex()
    )
    calldata = 4 * data.count(0) + 16 * (len(data) - data.count(0))
    assert receipt["gasUsed"] == 21_000 + calldata + required_gas(data)


def test_receipt__unknown_id__all_zero(fork: Fork) -> None:
    output = fork.w3.eth.call({"to": PRECOMPILE, "data": RECEIPT + b"\7" * 32})
    assert output == b"\0" * 7 * 32


_SHARED: list[Fork] = []


@given(st.binary(max_size=300), st.booleans())
def test_call__any_calldata__never_raises_into_python(data: bytes, infer: bool) -> None:
    if not _SHARED:
        _SHARED.append(Fork())
    fork = _SHARED[0]
    prefix = fork.infer_data()[:4] if infer else b""
    refusal(fork, prefix + data)
