"""0xF4, called as OpenGradient's contracts call it."""

import random
from collections.abc import Iterator

import pytest
from eth_abi import decode, encode

from foretell_evm.opengradient import abi
from foretell_evm.opengradient.config import Layout
from foretell_evm.opengradient.gas import inference_gas
from foretell_evm.opengradient.numbers import from_wad, to_wad
from foretell_spec.errors import CalldataError, TensorError
from foretell_spec.gas import INFER_BASE, INFER_PER_INPUT, INFER_RECORD, PROOF_VERIFICATION, UNKNOWN_CALL
from foretell_spec.reasons import Reason
from foretell_spec.tensor import WAD
from tests.kit.fork import Fork
from tests.kit.opengradient import INFERENCE, NEUROML_CALLER, cid_of, opengradient_fork, refusal


@pytest.fixture(scope="module")
def og() -> Iterator[Fork]:
    made = opengradient_fork()
    yield made
    made.close()


def call_data(fork: Fork, numbers=((3, 0), (-5, 1)), shape=(2,), mode: int = 0, strings=()) -> bytes:
    """A call for 3 and -0.5."""
    request = (mode, cid_of(fork), ([("x", numbers, shape)], strings))
    return abi.RUN_MODEL + encode([abi.MODEL_REQUEST], [request])


def test_selectors__published__match() -> None:
    assert abi.RUN_MODEL.hex() == "7289e9c2"
    assert abi.RUN_LLM_COMPLETION.hex() == "14800c61"
    assert abi.RUN_LLM_CHAT.hex() == "e39aa7e7"
    assert abi.RUN_LLM_NEUROML.hex() == "ea3dd516"
    assert (
        abi.MODEL_INFERENCE_TOPIC.hex() == "1b283af3452f3718585ce100f80d9aa81fc60924db4a582a36db6aae3b109d87"
    )


def test_run_model__transaction__gives_event_and_both_layouts(og: Fork) -> None:
    sent = og.w3.eth.send_transaction(
        {"from": og.user, "to": INFERENCE, "data": call_data(og), "gas": 3_000_000}
    )
    receipt = og.settle("0x" + bytes(sent).hex())
    (log,) = [log for log in receipt["logs"] if log["address"] == INFERENCE]
    assert bytes(log["topics"][0]) == abi.MODEL_INFERENCE_TOPIC
    types = ["string", abi.MODEL_REQUEST, abi.OUTPUT[Layout.SOLIDML]]
    _, asked, told = decode(types, bytes(log["data"]))
    assert asked == (0, cid_of(og), ((("x", ((3, 0), (-5, 1)), (2,)),), ()))
    expected = (("output", ((25, 1),), (1,)),)
    assert told == (expected, (), (), False)
    for caller, layout in ((og.user, Layout.SOLIDML), (NEUROML_CALLER, Layout.NEUROML)):
        output = og.w3.eth.call({"from": caller, "to": INFERENCE, "data": call_data(og)})
        (answer,) = decode([abi.OUTPUT[layout]], output)
        assert answer[0] == expected
        assert answer[-1] is False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape": (3,)}, Reason.BAD_INPUT),
        ({"shape": ()}, Reason.BAD_INPUT),
        ({"numbers": ((1, 19), (1, 0))}, Reason.BAD_INPUT),
        ({"numbers": ((1, -1), (1, 0))}, Reason.BAD_INPUT),
        ({"numbers": ((2**127 - 1, 0), (-(2**127), 0))}, Reason.BAD_INPUT),
        ({"numbers": ((1, 0),), "shape": (1,)}, Reason.BAD_INPUT),
        ({"numbers": (), "shape": (0,)}, Reason.BAD_INPUT),
        ({"strings": [("s", ["a"])]}, Reason.BAD_INPUT),
        ({"numbers": ((1, 0),) * 300, "shape": (300,)}, Reason.BAD_INPUT),
        ({"numbers": ((1, 0),) * 1_100, "shape": (1_100,)}, Reason.BAD_CALLDATA),
        ({"mode": 2}, Reason.ASSURANCE_UNAVAILABLE),
        ({"mode": 3}, Reason.BAD_CALLDATA),
    ],
)
def test_run_model__bad_request__says_why(og: Fork, change: dict, reason: Reason) -> None:
    assert refusal(og, INFERENCE, call_data(og, **change)) == reason


@pytest.mark.parametrize("cid", ["", "QmUnknown", "0x" + "00" * 32, "0x" + "zz" * 32, "é" * 40])
def test_run_model__unknown_cid__says_so(og: Fork, cid: str) -> None:
    data = abi.RUN_MODEL + encode([abi.MODEL_REQUEST], [(0, cid, ([("x", ((1, 0),) * 2, (2,))], []))])
    assert refusal(og, INFERENCE, data) == Reason.UNKNOWN_MODEL


def test_run_model__with_ether_or_another_selector__says_why(og: Fork) -> None:
    sent = {"from": og.user, "value": 1}
    assert refusal(og, INFERENCE, call_data(og), **sent) == Reason.NOT_PAYABLE
    assert refusal(og, INFERENCE, b"\x12\x34\x56\x78") == Reason.UNKNOWN_FUNCTION
    assert refusal(og, INFERENCE, b"") == Reason.UNKNOWN_FUNCTION


@pytest.mark.parametrize("selector", sorted(abi.LANGUAGE_MODEL_CALLS))
def test_language_model__any__says_that_there_is_none(og: Fork, selector: bytes) -> None:
    assert refusal(og, INFERENCE, selector) == Reason.NO_LANGUAGE_MODEL


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (4 + 31, 0x40),  # the struct's offset
        (4 + 32 + 31, 0xFF),  # a mode of 255: fits, and is none
        (4 + 32, 0x01),  # a mode over uint8
        (4 + 2 * 32, 0xFF),  # an offset of almost 2**256
        (4 + 4 * 32, 0xFF),  # a string of almost 2**256 bytes
        (4 + 5 * 32, 0xFF),  # a CID that is no UTF-8
        (-1, 0x01),  # something behind the arguments
    ],
)
def test_decode__damaged_calldata__is_refused(og: Fork, at: int, value: int) -> None:
    data = bytearray(call_data(og))
    data[at] = value
    assert refusal(og, INFERENCE, bytes(data)) == Reason.BAD_CALLDATA


def test_decode__cut_anywhere__is_refused(og: Fork) -> None:
    data = call_data(og)
    abi.decode_model_request(data)
    for end in range(4, len(data)):
        if any(data[end:]) or len(data[:end]) % 32 != 4:
            with pytest.raises(CalldataError):
                abi.decode_model_request(data[:end])


def test_decode__random_words__never_anything_but_refused() -> None:
    draw = random.Random(4)
    small = [0, 1, 2, 0x20, 0x40, 0x60, 0x80, 0xA0, 2**255, 2**256 - 1]
    for _ in range(2_000):
        words = b"".join(draw.choice(small).to_bytes(32, "big") for _ in range(draw.randrange(40)))
        for decode_call in (abi.decode_model_request, abi.decode_query, abi.decode_run_on_price_feed):
            try:
                decode_call(b"\0\0\0\0" + words)
            except CalldataError:
                continue


def test_numbers__both_ways__exact_or_rounded_once() -> None:
    assert from_wad(to_wad((15, 1))) == (15, 1)
    assert from_wad(0) == (0, 0)
    assert from_wad(2**127 - 1) == (2**127 - 1, 18)
    assert from_wad(-WAD // 2) == (-5, 1)
    assert from_wad(2**127) == (-(-(2**127) // 10), 17)
    for decimals in (-1, 19, 2**127 - 1, -(2**127)):
        with pytest.raises(TensorError):
            to_wad((1, decimals))


def test_gas__of_a_call__follows_its_schedule(og: Fork) -> None:
    data = call_data(og)
    words = len(data.rstrip(b"\0")) // 32
    assert words > len(data) // 32 - 2
    assert inference_gas(data + bytes(3_200), True) == inference_gas(data, True)
    static = INFER_BASE + INFER_PER_INPUT * words
    assert inference_gas(data, True) == static
    assert inference_gas(data, False) == static + INFER_RECORD
    assert inference_gas(call_data(og, mode=1), True) == static + PROOF_VERIFICATION
    assert inference_gas(b"", False) == UNKNOWN_CALL
    assert inference_gas(abi.RUN_LLM_CHAT + b"\xff" * 64, False) == UNKNOWN_CALL


def test_run_model__traced__has_the_output_that_the_call_has(og: Fork) -> None:
    message = {"from": og.user, "to": INFERENCE, "data": "0x" + call_data(og).hex(), "gas": hex(3_000_000)}
    output = og.chain.rpc("eth_call", [message])
    tree = og.chain.rpc("debug_traceCall", [message, "latest", {"tracer": "callTracer"}])
    assert tree["output"] == output
    sent = og.chain.rpc("eth_sendTransaction", [message])
    og.settle(sent)
    assert og.chain.rpc("debug_traceTransaction", [sent, {"tracer": "callTracer"}])["output"] == output
    assert og.chain.rpc("eth_createAccessList", [message])["accessList"] == []
