"""Traces, proofs, access lists and overrides: what a real anvil answers, and what only this chain has."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_abi import encode
from eth_utils import keccak
from trie import HexaryTrie
from web3 import HTTPProvider, Web3

from foretell_contracts import load
from foretell_evm.errors import RpcError
from foretell_evm.rpc.provider import ForetellProvider
from foretell_spec.abi import INFER
from foretell_spec.addresses import PRECOMPILE
from tests.kit.anvil import Anvil
from tests.kit.fork import Fork

GAS = 3_000_000
SENDER, OTHER = 5, 6
"""Accounts that have sent nothing on either chain."""

# slot 1 += 1; CALL of the codeless 0x99; POP; if there is calldata, REVERT
COUNTER = bytes.fromhex("600154600101600155" + "6000" * 5 + "60995af150" + "36601d57005b60006000fd")
DEPLOY = bytes.fromhex(f"60{len(COUNTER):02x}600c60003960{len(COUNTER):02x}6000f3") + COUNTER


class Side:
    """One of the two chains, with the same two contracts from the same account."""

    def __init__(self, w3: Web3) -> None:
        self.w3 = w3
        self.sender, self.other = w3.eth.accounts[SENDER], w3.eth.accounts[OTHER]
        self.counter = self.create(DEPLOY)
        token = load("IndexToken")
        self.token_code = token.bytecode + encode(["uint256"], [10**21])
        self.token_abi = token.abi
        self.token = self.create(self.token_code)

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self.w3.provider.make_request(method, list(params))  # type: ignore[arg-type]
        return answer.get("result", answer.get("error"))

    def send(self, to: str | None, data: bytes) -> str:
        fields = {"from": self.sender, "data": "0x" + data.hex(), "gas": hex(GAS)}
        sent = self.rpc("eth_sendTransaction", fields if to is None else {**fields, "to": to})
        assert isinstance(sent, str), sent
        self.w3.eth.wait_for_transaction_receipt(sent)  # type: ignore[arg-type]
        return sent

    def create(self, code: bytes) -> str:
        return str(self.w3.eth.get_transaction_receipt(self.send(None, code))["contractAddress"])  # type: ignore[arg-type]

    def transfer(self, amount: int) -> bytes:
        return keccak(text="transfer(address,uint256)")[:4] + encode(
            ["address", "uint256"], [self.other, amount]
        )


@pytest.fixture(scope="module")
def ours(fork: Fork) -> Side:
    return Side(Web3(ForetellProvider(fork.chain)))


@pytest.fixture(scope="module")
def theirs() -> Iterator[Side]:
    anvil = Anvil("--hardfork", "prague", "--steps-tracing")
    anvil.start()
    yield Side(Web3(HTTPProvider(anvil.url)))
    anvil.stop()


def proxy(instruction: str, target: str) -> bytes:
    """Creation code of a contract that calls ``target`` by ``instruction``: fa, f4, f2 or f1."""
    value = "" if instruction in {"fa", "f4"} else "6000"
    code = bytes.fromhex("6000" * 4 + value + "73" + target[2:] + "5a" + instruction + "00")
    return bytes.fromhex(f"60{len(code):02x}600c60003960{len(code):02x}6000f3") + code


NESTED = bytes.fromhex("60006000600060006000" + "73" + "11" * 20 + "5af1" + "600360005260206000f3")

CASES = {
    "a creation that calls": lambda side: (None, NESTED),
    "a call with a call inside": lambda side: (side.counter, b""),
    "a revert": lambda side: (side.counter, b"\1"),
    "a token transfer": lambda side: (side.token, side.transfer(5)),
    "a failing token transfer": lambda side: (side.token, side.transfer(10**30)),
    "a creation": lambda side: (None, side.token_code),
    "ether to nobody": lambda side: (side.other, b""),
}


def lower(value: Any) -> Any:
    """JSON with every hex string in lower case."""
    if isinstance(value, dict):
        return {name.lower() if name.startswith("0x") else name: lower(each) for name, each in value.items()}
    if isinstance(value, list):
        return [lower(each) for each in value]
    return value.lower() if isinstance(value, str) else value


@pytest.mark.anvil
@pytest.mark.parametrize("case", CASES)
def test_call_tracer__same_transaction__is_what_anvil_says(ours: Side, theirs: Side, case: str) -> None:
    trees = []
    for side in (ours, theirs):
        sent = side.send(*CASES[case](side))
        options = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}
        tree = lower(side.rpc("debug_traceTransaction", sent, options))
        del tree["gas"]  # the limit in geth and here; what is left of it after the intrinsic gas in anvil
        trees.append(tree)
    assert trees[0] == trees[1]


@pytest.mark.anvil
@pytest.mark.parametrize("case", CASES)
def test_parity_trace__same_transaction__is_what_anvil_says(ours: Side, theirs: Side, case: str) -> None:
    found = []
    for side in (ours, theirs):
        sent = side.send(*CASES[case](side))
        traces = lower(side.rpc("trace_transaction", sent))
        number = hex(traces[0]["blockNumber"])
        assert lower(side.rpc("trace_block", number)) == traces
        assert lower(side.rpc("trace_filter", {"fromBlock": number, "toBlock": number})) == traces
        assert {each["transactionHash"] for each in traces} == {sent.lower()}
        for each in traces:
            del each["blockHash"], each["blockNumber"], each["transactionHash"]
        found.append(traces)
    assert found[0] == found[1]


@pytest.mark.anvil
@pytest.mark.parametrize("instruction", ["f1", "f2", "f4", "fa"])
def test_call_tracer__each_kind_of_call__is_what_anvil_says(
    ours: Side, theirs: Side, instruction: str
) -> None:
    trees = []
    for side in (ours, theirs):
        inner = side.create(proxy("fa", side.counter))
        outer = side.create(proxy(instruction, inner))
        sent = side.send(outer, b"")
        tree = lower(side.rpc("debug_traceTransaction", sent, {"tracer": "callTracer"}))
        trees.append(
            [
                (call["type"], call["from"], call["to"])
                for call in (tree, *tree["calls"], *tree["calls"][0]["calls"])
            ]
        )
    assert trees[0] == trees[1]
    assert len(trees[0]) == 3


@pytest.mark.anvil
@pytest.mark.parametrize("case", CASES)
def test_struct_logs__same_transaction__are_what_anvil_says(ours: Side, theirs: Side, case: str) -> None:
    traces = []
    for side in (ours, theirs):
        sent = side.send(*CASES[case](side))
        traces.append(side.rpc("debug_traceTransaction", sent, {"enableMemory": True}))
    mine, other = traces
    names = ("pc", "op", "gas", "gasCost", "depth", "stack", "memory", "storage")
    assert len(mine["structLogs"]) == len(other["structLogs"])
    for index, (step, wanted) in enumerate(zip(mine["structLogs"], other["structLogs"], strict=True)):
        assert {name: step.get(name) for name in names} == {name: wanted.get(name) for name in names}, index
    assert (mine["gas"], mine["failed"]) == (other["gas"], other["failed"])


@pytest.mark.anvil
@pytest.mark.parametrize("diff", [False, True])
def test_prestate_tracer__same_transaction__is_what_anvil_says(ours: Side, theirs: Side, diff: bool) -> None:
    found = []
    for side in (ours, theirs):
        sent = side.send(side.token, side.transfer(7))
        options = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": diff}}
        found.append(lower(side.rpc("debug_traceTransaction", sent, options)))
    mine, other = ([side["pre"], side["post"]] if diff else [side] for side in found)
    for accounts, wanted in zip(mine, other, strict=True):
        assert {name: sorted(each) for name, each in accounts.items() if each} == {
            name: sorted(each) for name, each in wanted.items() if each
        }
        for name, each in accounts.items():
            assert each.get("storage") == wanted[name].get("storage")


@pytest.mark.anvil
@pytest.mark.parametrize("case", ["a call with a call inside", "a token transfer"])
def test_create_access_list__same_message__is_what_anvil_says(ours: Side, theirs: Side, case: str) -> None:
    found = []
    for side in (ours, theirs):
        to, data = CASES[case](side)
        message = {"from": side.sender, "to": to, "data": "0x" + data.hex(), "gas": hex(GAS)}
        found.append(lower(side.rpc("eth_createAccessList", message, "latest")))
    mine, other = (
        sorted((each["address"], sorted(each["storageKeys"])) for each in answer["accessList"])
        for answer in found
    )
    assert mine == other
    assert found[0]["gasUsed"] == found[1]["gasUsed"]


def test_create_access_list__message_that_fails__says_why(ours: Side) -> None:
    message = {"from": ours.sender, "to": ours.counter, "data": "0x01"}
    answer = ours.rpc("eth_createAccessList", message)
    assert "error" in answer
    assert [each["address"].lower() for each in answer["accessList"]] == [
        "0x" + "0" * 38 + "99",
        ours.counter.lower(),
    ]


SLOT_1 = "0x60015460005260206000f3"  # returns storage slot 1
BLOCK = "0x436000524260205245604052" + "60606000f3"  # returns number, timestamp and gas limit
WORD_7 = "0x" + "00" * 31 + "07"
ELSEWHERE = "0x" + "77" * 20


@pytest.mark.anvil
@pytest.mark.parametrize(
    "params",
    [
        [{ELSEWHERE: {"code": SLOT_1, "stateDiff": {"0x" + "00" * 31 + "01": WORD_7}}}],
        [{ELSEWHERE: {"code": SLOT_1, "state": {"0x" + "00" * 31 + "02": WORD_7}}}],
        [{ELSEWHERE: {"code": BLOCK}}, {"number": "0x1234", "time": "0x7fffffff", "gasLimit": "0x1c9c380"}],
        [{ELSEWHERE: {"balance": "0x1", "nonce": "0x7"}}],
    ],
)
def test_overrides__same_call__give_what_anvil_gives(ours: Side, theirs: Side, params: list[Any]) -> None:
    message = {"from": ELSEWHERE, "to": ELSEWHERE, "gas": hex(GAS)}
    mine, other = (side.rpc("eth_call", message, "latest", *params) for side in (ours, theirs))
    assert mine == other
    assert isinstance(mine, str)


def test_overrides__storage__replaced_or_changed_slot_by_slot(ours: Side) -> None:
    message = {"to": ours.counter, "gas": hex(GAS)}
    ours.send(ours.counter, b"")
    stored = ours.rpc("eth_getStorageAt", ours.counter, "0x1", "latest")
    for storage, expected in (
        ({"stateDiff": {"0x2": WORD_7}}, stored),
        ({"state": {"0x2": WORD_7}}, "0x" + "00" * 32),
        ({"state": {"0x1": WORD_7}}, WORD_7),
    ):
        overrides = {ours.counter: {"code": SLOT_1, **storage}}
        assert ours.rpc("eth_call", message, "latest", overrides) == expected
    assert ours.rpc("eth_getStorageAt", ours.counter, "0x1", "latest") == stored


@pytest.mark.parametrize(
    ("overrides", "block", "said"),
    [
        ([1], None, "object expected"),
        ({"0x12": {}}, None, "20 bytes"),
        ({"0x" + "11" * 20: {"blance": "0x1"}}, None, "blance"),
        ({"0x" + "11" * 20: {"state": {}, "stateDiff": {}}}, None, "not both"),
        ({"0x" + "11" * 20: {"balance": hex(2**256)}}, None, "too large"),
        (None, {"numbr": "0x1"}, "numbr"),
        (None, {"prevRandao": "0x11"}, "32 bytes"),
    ],
)
def test_overrides__malformed__are_refused(fork: Fork, overrides: Any, block: Any, said: str) -> None:
    with pytest.raises(RpcError, match=said) as refused:
        fork.chain.rpc("eth_call", [{"to": PRECOMPILE}, "latest", overrides, block])
    assert refused.value.rpc_code == -32602


def test_get_proof__account_and_slots__hold_against_the_block(ours: Side) -> None:
    ours.send(ours.counter, b"")
    block = ours.w3.eth.get_block("latest")
    proof = ours.rpc("eth_getProof", ours.counter, ["0x1", "0x2"], "latest")
    nodes = [rlp.decode(bytes.fromhex(node[2:])) for node in proof["accountProof"]]
    account = HexaryTrie.get_from_proof(
        bytes(block["stateRoot"]), keccak(bytes.fromhex(ours.counter[2:])), nodes
    )
    nonce, balance, storage_hash, code_hash = rlp.decode(account)
    assert (nonce, balance) == (b"\1", b"")
    assert "0x" + storage_hash.hex() == proof["storageHash"]
    assert code_hash == keccak(COUNTER)
    for slot, entry in zip((1, 2), proof["storageProof"], strict=True):
        nodes = [rlp.decode(bytes.fromhex(node[2:])) for node in entry["proof"]]
        stored = HexaryTrie.get_from_proof(storage_hash, keccak(slot.to_bytes(32, "big")), nodes)
        value = int.from_bytes(rlp.decode(stored), "big") if stored else 0
        assert (
            hex(value)
            == entry["value"]
            == ours.rpc("eth_getStorageAt", ours.counter, hex(slot), "latest").replace("0x" + "0" * 63, "0x")
        )
    nobody = ours.rpc("eth_getProof", "0x" + "99" * 20, [], "latest")
    assert nobody["codeHash"] == "0x" + keccak(b"").hex()


def test_trace__transaction_that_asked_a_model__has_the_real_answer(fork: Fork) -> None:
    sent = fork.send_ask()
    fork.settle(sent)
    operators = len(fork.chain.history.head.sidecar.answers)
    assert operators == 1
    fork.chain.pool.forget()
    tree = fork.chain.rpc("debug_traceTransaction", [sent, {"tracer": "callTracer"}])
    calls = [call for call in tree["calls"] if call["to"] == PRECOMPILE]
    assert calls[0]["input"].startswith("0x" + INFER.hex())
    assert calls[0]["output"] != "0x"
    steps = fork.chain.rpc("debug_traceTransaction", [sent])
    assert not steps["failed"]
    assert steps["gas"] == int(tree["gasUsed"], 16)


def test_trace_call__asks_the_model__and_shows_its_answer(fork: Fork) -> None:
    fork.chain.pool.forget()
    message = {"to": PRECOMPILE, "data": "0x" + fork.infer_data((10**18, 10**18)).hex(), "gas": hex(GAS)}
    tree = fork.chain.rpc("debug_traceCall", [message, "latest", {"tracer": "callTracer"}])
    assert tree["output"] == fork.chain.rpc("eth_call", [message])


def test_trace_call__of_the_precompile__does_not_show_what_the_node_reads(fork: Fork) -> None:
    message = {"to": PRECOMPILE, "data": "0x" + fork.infer_data((10**18, 10**18)).hex(), "gas": hex(GAS)}
    assert fork.chain.rpc("debug_traceCall", [message, "latest", {}])["structLogs"] == []
    assert fork.chain.rpc("eth_createAccessList", [message])["accessList"] == []


def test_trace_block__every_transaction__is_traced_after_those_before_it(ours: Side, fork: Fork) -> None:
    fork.chain.set_automine(enabled=False)
    message = {"from": ours.sender, "to": ours.counter, "gas": hex(GAS)}
    hashes = [ours.rpc("eth_sendTransaction", message) for _ in range(3)]
    record = fork.chain.mine()
    fork.chain.set_automine(enabled=True)
    traces = ours.rpc("debug_traceBlockByNumber", hex(record.number), {"tracer": "prestateTracer"})
    assert [each["txHash"] for each in traces] == hashes
    slot = "0x" + "00" * 31 + "01"
    counts = [int(each["result"][ours.counter]["storage"][slot], 16) for each in traces]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]
    by_hash = ours.rpc("debug_traceBlockByHash", "0x" + record.block.hash.hex(), {"tracer": "prestateTracer"})
    assert by_hash == traces


def test_struct_logs__limit_and_parts__are_kept(ours: Side) -> None:
    sent = ours.send(ours.counter, b"")
    few = ours.rpc("debug_traceTransaction", sent, {"limit": 3, "disableStack": True, "disableStorage": True})
    assert [step["op"] for step in few["structLogs"]] == ["PUSH1", "SLOAD", "PUSH1"]
    assert not {"stack", "memory", "storage", "returnData"} & few["structLogs"][1].keys()


@pytest.mark.parametrize(
    "options", [{"tracer": "jsTracer"}, {"limit": "many"}, {"limit": -1}, {"tracerConfig": 3}, [1]]
)
def test_trace__bad_options__are_refused(ours: Side, options: Any) -> None:
    sent = ours.send(ours.counter, b"")
    assert ours.rpc("debug_traceTransaction", sent, options)["code"] == -32602


def test_trace__unknown_transaction__is_refused(ours: Side) -> None:
    assert "not found" in ours.rpc("debug_traceTransaction", "0x" + "12" * 32)["message"]


def test_parity_trace__account_that_destroys_itself__is_in_it(ours: Side) -> None:
    heir = "0x" + "99" * 20
    code = bytes.fromhex("73" + heir[2:] + "ff")
    leaver = ours.create(bytes.fromhex(f"60{len(code):02x}600c60003960{len(code):02x}6000f3") + code)
    ours.rpc("anvil_setBalance", leaver, "0x7")
    sent = ours.send(leaver, b"")
    call, suicide = ours.rpc("trace_transaction", sent)
    assert (call["subtraces"], suicide["traceAddress"], suicide["type"]) == (1, [0], "suicide")
    assert suicide["action"] == {"address": leaver, "refundAddress": heir, "balance": "0x7"}
    tree = ours.rpc("debug_traceTransaction", sent, {"tracer": "callTracer"})
    assert [(each["type"], each["to"], each["value"]) for each in tree["calls"]] == [
        ("SELFDESTRUCT", heir, "0x7")
    ]


def test_parity_trace__out_of_gas_and_unknown__are_told_apart(ours: Side) -> None:
    assert ours.rpc("trace_transaction", "0x" + "12" * 32) == []
    loop = ours.create(bytes.fromhex("6004600c60003960046000f3" + "5b600056"))
    (trace,) = ours.rpc("trace_transaction", ours.send(loop, b""))
    assert (trace["error"], trace["result"]) == ("Out of gas", None)


def test_parity_filter__accounts_and_places__choose(ours: Side) -> None:
    sent = ours.send(ours.counter, b"")
    number = ours.rpc("eth_getTransactionReceipt", sent)["blockNumber"]
    wanted = {"fromBlock": number, "toBlock": number}
    everything = ours.rpc("trace_filter", wanted)
    assert len(everything) == 2
    assert ours.rpc("trace_filter", {**wanted, "fromAddress": [ours.sender]}) == everything[:1]
    assert ours.rpc("trace_filter", {**wanted, "fromAddress": [ours.counter]}) == everything[1:]
    assert ours.rpc("trace_filter", {**wanted, "toAddress": [ours.counter]}) == everything[:1]
    assert ours.rpc("trace_filter", {**wanted, "after": 1, "count": 5}) == everything[1:]
    assert ours.rpc("trace_filter", {**wanted, "count": 0}) == []
    assert ours.rpc("trace_filter", {**wanted, "toAddress": ["0x12"]})["code"] == -32602


def test_parity_filter__more_blocks_than_it_takes__is_refused(fork: Fork) -> None:
    fork.chain.mine(300)
    with pytest.raises(RpcError, match="at most 256 blocks"):
        fork.chain.rpc("trace_filter", [{}])
