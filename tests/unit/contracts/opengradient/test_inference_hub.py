"""InferenceHub: what reaches the precompile, and what comes back. An echo stands in for the precompile."""

from types import SimpleNamespace
from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.kit.chain import Chain, RevertedError, reverts
from tests.kit.compiled import compiled

ECHO = bytes.fromhex("365f5f37365ff3")
"""Returns its calldata."""
REFUSE = bytes.fromhex("365f5f37365ffd")
"""Reverts with its calldata."""
STOP = b"\0"
"""Returns nothing."""
PRECOMPILE = "0x00000000000000000000000000000000000000F4"

INPUT = "((string,(int128,int128)[],uint32[])[],(string,string[])[])"
OUTPUT = "((string,(int128,int128)[],uint32[])[],(string,string[])[],(string,string)[],bool)"
VALUES = ([("x", [(3, 0), (-5, 1)], [2]), ("y", [], [0])], [("s", ["a", "b" * 40])])
RUN = keccak(text=f"run(string,uint8,{INPUT})")[:4]
RUN_MODEL = keccak(text=f"runModelInference((uint8,string,{INPUT}))")[:4]
RUN_LLM_COMPLETION = bytes.fromhex("14800c61")
RUN_LLM_CHAT = bytes.fromhex("e39aa7e7")
RESULTS = {
    RUN: f"InferenceResult({OUTPUT})",
    RUN_LLM_COMPLETION: "LLMCompletionResult((string))",
    RUN_LLM_CHAT: "LLMChatResult((string,(string,string,string,string,(string,string,string)[])))",
}


def hub_over(code: bytes) -> SimpleNamespace:
    """A chain with this code in the precompile's place."""
    chain = Chain()
    chain.place(PRECOMPILE, code)
    return SimpleNamespace(chain=chain, hub=chain.deploy(compiled("opengradient/InferenceHub.vy")).address)


@pytest.fixture
def og() -> SimpleNamespace:
    return hub_over(ECHO)


def run_data(cid: str = "Qm" + "x" * 44, mode: int = 2, values: Any = VALUES) -> bytes:
    return RUN + encode(["string", "uint8", INPUT], [cid, mode, values])


def test_run__any_input__is_the_request_that_a_compiler_would_encode(og: SimpleNamespace) -> None:
    request = encode([f"(uint8,string,{INPUT})"], [(2, "Qm" + "x" * 44, VALUES)])
    result = og.chain.send(og.hub, run_data())
    assert result.value == RUN_MODEL + request
    (event,) = result.events
    assert event.address == og.hub
    assert event.args.topics == [keccak(text=RESULTS[RUN])]
    assert event.args.data == result.value


@pytest.mark.parametrize("selector", [RUN_LLM_COMPLETION, RUN_LLM_CHAT])
def test_language_model__call__goes_on_as_it_is(og: SimpleNamespace, selector: bytes) -> None:
    data = selector + bytes(range(96))
    result = og.chain.send(og.hub, data)
    assert result.value == data
    (event,) = result.events
    assert event.args.topics == [keccak(text=RESULTS[selector])]
    assert event.args.data == data


def test_run__refused_by_the_precompile__reverts_with_its_data() -> None:
    og = hub_over(REFUSE)
    with pytest.raises(RevertedError) as caught:
        og.chain.send(og.hub, run_data())
    assert caught.value.data[:4] == RUN_MODEL


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ""),
        (RUN[:3], ""),
        (RUN, ""),
        (RUN + bytes(63), ""),
        (bytes(4), "hub: no such function"),
        (RUN_LLM_CHAT + bytes(20_477), "hub: calldata is too long"),
    ],
    ids=["empty", "half a selector", "no arguments", "cut", "unknown", "too long"],
)
def test_calldata__hostile__reverts(og: SimpleNamespace, data: bytes, reason: str) -> None:
    with reverts(reason):
        og.chain.send(og.hub, data)


def test_calldata__longest__goes_on() -> None:
    og = hub_over(STOP)
    assert og.chain.send(og.hub, RUN_LLM_CHAT + bytes(20_476)).value == b""


def test_answer__too_long__is_refused_and_never_cut(og: SimpleNamespace) -> None:
    longest = RUN_LLM_CHAT + bytes(5_116)
    assert og.chain.send(og.hub, longest).value == longest
    with reverts("hub: answer is too long"):
        og.chain.send(og.hub, longest + b"\0")


def test_ether__with_a_call__is_refused(og: SimpleNamespace) -> None:
    with reverts(""):
        og.chain.send(og.hub, run_data(), value=1)
