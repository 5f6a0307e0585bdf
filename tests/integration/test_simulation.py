"""``eth_simulateV1``: what geth's users expect, what a real anvil answers, and models in it."""

from typing import Any

import pytest
from eth_utils import keccak
from web3 import HTTPProvider, Web3

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.simulation import (
    BLOCK_FULL,
    BLOCK_ORDER,
    FEE_TOO_LOW,
    GAS_TOO_LOW,
    NO_FUNDS,
    NONCE_TOO_HIGH,
    NONCE_TOO_LOW,
    TIME_ORDER,
    TOO_MANY_BLOCKS,
)
from foretell_spec.addresses import PRECOMPILE
from tests.kit.anvil import Anvil
from tests.kit.fork import Fork

ETHER_LOG = "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"
LOGGER, REVERTER, LOOP, PAYER, LEAVER = ("0x" + digits * 20 for digits in ("71", "72", "73", "74", "75"))
NOBODY = "0x" + "99" * 20
CODES = {
    LOGGER: "0x600160005260aa60206000a100",
    REVERTER: "0x60006000fd",
    LOOP: "0x5b600056",
    PAYER: "0x6000600060006000600173" + NOBODY[2:] + "5af100",
    LEAVER: "0x73" + NOBODY[2:] + "ff",
}
ACCOUNTS = {address: {"code": code, "balance": "0x10"} for address, code in CODES.items()}
PRICE = "0x77359400"


@pytest.fixture(scope="module")
def chain(fork: Fork) -> ForetellChain:
    return fork.chain


@pytest.fixture(scope="module")
def sender(chain: ForetellChain) -> str:
    return str(chain.accounts[5].address)


def simulate(chain: ForetellChain, *blocks: Any, **options: Any) -> Any:
    return chain.rpc("eth_simulateV1", [{"blockStateCalls": list(blocks), **options}, "latest"])


def refusal(chain: ForetellChain, *blocks: Any, **options: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        simulate(chain, *blocks, **options)
    return caught.value


def call(sender: str, to: str, **fields: Any) -> dict[str, Any]:
    return {"from": sender, "to": to, **fields}


def test_simulate__calls_one_after_the_other__see_each_other_and_change_nothing(
    chain: ForetellChain, sender: str
) -> None:
    counter = "0x5f5460010180" + "5f555f5260205ff3"  # returns slot 0 after it has grown by one
    code = {"stateOverrides": {LOGGER: {"code": counter}}}
    head, asked = chain.head.number, {"calls": [call(sender, LOGGER)] * 2}
    first, second = simulate(chain, {**code, **asked}, asked)
    values = [int(each["returnData"], 16) for block in (first, second) for each in block["calls"]]
    assert values == [1, 2, 3, 4]
    assert (first["number"], second["number"]) == (hex(head + 1), hex(head + 2))
    assert second["parentHash"] == first["hash"]
    assert first["parentHash"] == "0x" + chain.head.block.hash.hex()
    assert chain.head.number == head
    assert chain.rpc("eth_getCode", [LOGGER]) == "0x"


def test_simulate__calls_that_fail__say_how__and_the_others_go_on(chain: ForetellChain, sender: str) -> None:
    calls = [call(sender, REVERTER), call(sender, LOOP, gas="0x8000"), call(sender, LOGGER)]
    (block,) = simulate(chain, {"stateOverrides": ACCOUNTS, "calls": calls})
    reverted, empty, logged = block["calls"]
    assert reverted["error"] == {"code": 3, "message": "execution reverted", "data": "0x"}
    assert empty["error"] == {"code": -32015, "message": "out of gas"}
    assert [each["status"] for each in block["calls"]] == ["0x0", "0x0", "0x1"]
    assert [len(each["logs"]) for each in block["calls"]] == [0, 0, 1]
    assert int(block["gasUsed"], 16) == sum(int(each["gasUsed"], 16) for each in block["calls"])
    assert logged["logs"][0]["transactionHash"] == block["transactions"][2]


def test_simulate__with_transfers__tells_of_ether_that_moves(chain: ForetellChain, sender: str) -> None:
    calls = [call(sender, to, value="0x1") for to in (PAYER, LEAVER, LOGGER, REVERTER)]
    asked = {"stateOverrides": ACCOUNTS, "calls": calls}
    (block,) = simulate(chain, asked, traceTransfers=True)
    moved = [
        [
            (log["topics"][1][-40:], log["topics"][2][-40:], int(log["data"], 16))
            for log in each["logs"]
            if log["address"] == ETHER_LOG
        ]
        for each in block["calls"]
    ]
    me, nobody = sender[2:].lower(), NOBODY[2:]
    assert moved[0] == [(me, PAYER[2:], 1), (PAYER[2:], nobody, 1)]
    assert moved[1] == [(me, LEAVER[2:], 1), (LEAVER[2:], nobody, 0x11)]
    assert moved[3] == []
    (paid, real) = block["calls"][2]["logs"]
    assert (paid["address"], paid["topics"][0]) == (
        ETHER_LOG,
        "0x" + keccak(text="Transfer(address,address,uint256)").hex(),
    )
    assert (real["logIndex"], paid["logIndex"]) == ("0x5", "0x4")
    (plain,) = simulate(chain, asked)
    assert [len(each["logs"]) for each in plain["calls"]] == [0, 0, 1, 0]
    assert plain["receiptsRoot"] == block["receiptsRoot"]


def test_simulate__blocks_further_on__come_with_the_empty_ones_between(
    chain: ForetellChain, sender: str
) -> None:
    number, time = chain.head.number + 3, chain.head.header.timestamp + 1000
    overrides = {"blockOverrides": {"number": hex(number), "time": hex(time)}}
    hashes = "0x6001430340" + "5f5260205ff3"  # the hash of the block before
    asked = {**overrides, "stateOverrides": {LOGGER: {"code": hashes}}, "calls": [call(sender, LOGGER)]}
    blocks = simulate(chain, asked)
    assert [int(each["number"], 16) for each in blocks] == [number - 2, number - 1, number]
    assert blocks[-1]["timestamp"] == hex(time)
    assert blocks[-1]["calls"][0]["returnData"] == blocks[-2]["hash"]


def test_simulate__validating__takes_fees_and_needs_nonces(chain: ForetellChain, sender: str) -> None:
    nonce = int(chain.rpc("eth_getTransactionCount", [sender]), 16)
    right = call(sender, NOBODY, nonce=hex(nonce), gasPrice=PRICE)
    (block,) = simulate(chain, {"calls": [right]}, validation=True, returnFullTransactions=True)
    assert block["transactions"][0]["nonce"] == hex(nonce)
    assert block["transactions"][0]["from"] == sender
    assert int(block["baseFeePerGas"], 16) > 0
    for changes, code in (
        ({"nonce": hex(nonce + 1)}, NONCE_TOO_HIGH),
        ({"gasPrice": "0x1"}, FEE_TOO_LOW),
        ({"from": NOBODY, "nonce": "0x0"}, NO_FUNDS),
    ):
        assert refusal(chain, {"calls": [{**right, **changes}]}, validation=True).rpc_code == code
    twice = [right, right]
    assert refusal(chain, {"calls": twice}, validation=True).rpc_code == NONCE_TOO_LOW
    (free,) = simulate(chain, {"calls": twice})
    assert free["baseFeePerGas"] == "0x0"
    dear = {"blockOverrides": {"baseFeePerGas": PRICE}, "calls": [right]}
    assert simulate(chain, dear, validation=True)[0]["baseFeePerGas"] == PRICE


def test_simulate__what_cannot_be__is_refused_with_geth_s_codes(chain: ForetellChain, sender: str) -> None:
    plain, head = call(sender, NOBODY), chain.head.number
    at = [{"blockOverrides": {"number": hex(head + step)}} for step in (5, 3, 400)]
    late = {"blockOverrides": {"time": hex(chain.head.header.timestamp)}}
    assert refusal(chain, {"calls": [{**plain, "value": hex(10**30)}]}).rpc_code == NO_FUNDS
    assert refusal(chain, {"calls": [{**plain, "gas": "0x10"}]}).rpc_code == GAS_TOO_LOW
    assert refusal(chain, {"calls": [{**plain, "gas": hex(40_000_000)}]}).rpc_code == BLOCK_FULL
    assert refusal(chain, at[0], at[1]).rpc_code == BLOCK_ORDER
    assert refusal(chain, at[2]).rpc_code == TOO_MANY_BLOCKS
    assert refusal(chain, late).rpc_code == TIME_ORDER
    assert refusal(chain).rpc_code == -32602
    assert refusal(chain, {"calls": [plain] * 1001}).rpc_code == -32602
    assert refusal(chain, {"blockOverrides": {"baseFeePerGas": "0x1"}}).rpc_code == -32602
    assert refusal(chain, {"calls": []}, validation="yes").rpc_code == -32602


def test_simulate__gas_of_all_calls__is_bounded(chain: ForetellChain, sender: str) -> None:
    burner = {"stateOverrides": ACCOUNTS, "calls": [call(sender, LOOP, gas=hex(29_000_000))]}
    found = simulate(chain, burner, burner)
    assert [int(each["gasUsed"], 16) for each in found] == [29_000_000, 21_000_000]
    assert refusal(chain, burner, burner, burner).rpc_code == GAS_TOO_LOW


def test_simulate__a_call_that_asks_a_model__has_its_answer(fork: Fork, sender: str) -> None:
    fork.chain.pool.forget()
    asks = "0x" + fork.infer_data((10**18, 10**18)).hex()
    (block,) = simulate(fork.chain, {"calls": [call(sender, PRECOMPILE, input=asks)] * 2})
    answer = fork.chain.rpc("eth_call", [{"to": PRECOMPILE, "data": asks, "from": sender}])
    assert [each["returnData"][:66] for each in block["calls"]] == [answer[:66]] * 2
    assert [each["status"] for each in block["calls"]] == ["0x1", "0x1"]


@pytest.mark.anvil
def test_simulate__same_calls__give_what_anvil_gives(chain: ForetellChain, sender: str) -> None:
    anvil = Anvil("--hardfork", "prague")
    anvil.start()
    theirs = Web3(HTTPProvider(anvil.url))
    calls = [call(sender, to, value="0x1") for to in (PAYER, LOGGER, NOBODY)]
    blocks = [{"stateOverrides": ACCOUNTS, "calls": calls}, {"calls": [call(NOBODY, sender, value="0x2")]}]
    asked = {"blockStateCalls": blocks, "traceTransfers": True}
    answer: Any = theirs.provider.make_request("eth_simulateV1", [asked, "latest"])  # type: ignore[arg-type]
    anvil.stop()
    mine = simulate(chain, *blocks, traceTransfers=True)
    assert [_comparable(each) for each in mine] == [_comparable(each) for each in answer["result"]]
    for block, wanted in zip(mine, answer["result"], strict=True):
        assert wanted.keys() <= block.keys()
        for each, other in zip(block["calls"], wanted["calls"], strict=True):
            assert each.keys() == other.keys()


def _comparable(block: Any) -> Any:
    return [
        (
            each["status"],
            each["gasUsed"],
            each["returnData"],
            [(log["address"].lower(), log["topics"], log["data"], log["logIndex"]) for log in each["logs"]],
        )
        for each in block["calls"]
    ]
