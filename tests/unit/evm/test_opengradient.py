"""OpenGradient's 0xF4, called as its contracts call it."""

from collections.abc import Iterator

import pytest
from eth_abi import decode, encode
from web3.exceptions import ContractCustomError

from foretell_evm.config import ChainConfig
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.config import Layout, OpenGradientConfig
from foretell_evm.opengradient.numbers import from_wad, to_wad
from foretell_spec.reasons import Reason, revert_data
from foretell_spec.tensor import WAD
from tests.kit.fork import GENESIS_TIME, Fork, address_of

OG = address_of(0xF4)
NEUROML_CALLER = address_of(0xABCD)


@pytest.fixture
def og() -> Iterator[Fork]:
    """A fork that serves 0xF4, with one operator."""
    settings = OpenGradientConfig(layouts=((NEUROML_CALLER, Layout.NEUROML),))
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME, opengradient=settings))
    made.add_operator()
    yield made
    made.close()


def call_data(fork: Fork, numbers=((3, 0), (-5, 1)), shape=(2,), mode: int = 0) -> bytes:
    """A call for 3 and -0.5."""
    request = (mode, "0x" + fork.model_id.hex(), ([("x", numbers, shape)], []))
    return abi.RUN_MODEL + encode([abi.MODEL_REQUEST], [request])


def refusal(fork: Fork, data: bytes) -> str:
    with pytest.raises(ContractCustomError) as caught:
        fork.w3.eth.call({"to": OG, "data": data})
    return str(caught.value.data)


def test_selectors__published__match() -> None:
    assert abi.RUN_MODEL.hex() == "7289e9c2"
    assert abi.RUN_LLM_COMPLETION.hex() == "14800c61"
    assert abi.RUN_LLM_CHAT.hex() == "e39aa7e7"
    assert abi.RUN_LLM_NEUROML.hex() == "ea3dd516"
    assert (
        abi.MODEL_INFERENCE_TOPIC.hex() == "1b283af3452f3718585ce100f80d9aa81fc60924db4a582a36db6aae3b109d87"
    )


def test_run_model__transaction__gives_event_and_both_layouts(og: Fork) -> None:
    sent = og.w3.eth.send_transaction({"from": og.user, "to": OG, "data": call_data(og), "gas": 3_000_000})
    receipt = og.settle("0x" + bytes(sent).hex())
    (log,) = [log for log in receipt["logs"] if log["address"] == OG]
    assert bytes(log["topics"][0]) == abi.MODEL_INFERENCE_TOPIC
    expected = [("output", ((25, 1),), (1,))]
    for caller, layout in ((og.user, Layout.SOLIDML), (NEUROML_CALLER, Layout.NEUROML)):
        output = og.w3.eth.call({"from": caller, "to": OG, "data": call_data(og)})
        (answer,) = decode([abi.OUTPUT[layout]], output)
        assert list(answer[0]) == expected
        assert answer[-1] is False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape": (3,)}, Reason.BAD_INPUT),
        ({"numbers": ((1, 19), (1, 0))}, Reason.BAD_INPUT),
        ({"numbers": ((1, -1), (1, 0))}, Reason.BAD_INPUT),
        ({"mode": 2}, Reason.ASSURANCE_UNAVAILABLE),
        ({"mode": 3}, Reason.BAD_CALLDATA),
    ],
)
def test_run_model__bad_request__says_why(og: Fork, change: dict, reason: Reason) -> None:
    assert refusal(og, call_data(og, **change)) == "0x" + revert_data(reason).hex()


def test_language_model__any__says_that_there_is_none(og: Fork) -> None:
    assert refusal(og, abi.RUN_LLM_CHAT) == "0x" + revert_data(Reason.NO_LANGUAGE_MODEL).hex()


def test_decode__overlapping_tails__refused(og: Fork) -> None:
    data = bytearray(call_data(og))
    data[4 + 31] = 0x40
    assert refusal(og, bytes(data)) == "0x" + revert_data(Reason.BAD_CALLDATA).hex()


def test_numbers__both_ways__exact_or_rounded_once() -> None:
    assert from_wad(to_wad((15, 1))) == (15, 1)
    assert from_wad(0) == (0, 0)
    assert from_wad(2**127 - 1) == (2**127 - 1, 18)
    assert from_wad(-WAD // 2) == (-5, 1)


def test_run_model__traced__has_the_output_that_the_call_has(og: Fork) -> None:
    message = {"from": og.user, "to": OG, "data": "0x" + call_data(og).hex(), "gas": hex(3_000_000)}
    output = og.chain.rpc("eth_call", [message])
    tree = og.chain.rpc("debug_traceCall", [message, "latest", {"tracer": "callTracer"}])
    assert tree["output"] == output
    sent = og.chain.rpc("eth_sendTransaction", [message])
    og.settle(sent)
    assert og.chain.rpc("debug_traceTransaction", [sent, {"tracer": "callTracer"}])["output"] == output
    assert og.chain.rpc("eth_createAccessList", [message])["accessList"] == []
