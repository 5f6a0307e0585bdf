"""Methods that anvil's users call: the next block, tokens, raw data, metadata, and why a call failed."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_abi import encode
from eth_utils import keccak

from foretell_contracts import load
from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, GWEI, ChainConfig
from foretell_evm.errors import BlockRejected, RpcError
from foretell_evm.full_node import FullNode
from foretell_evm.rpc.methods import METHODS
from foretell_evm.tracing import WatchedState

CONFIG = ChainConfig(genesis_time=1_700_000_000)
SOMEBODY = "0x00000000000000000000000000000000000000AA"


@pytest.fixture
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(CONFIG) as made:
        yield made


def send(chain: ForetellChain, **fields: Any) -> Any:
    message = {"from": chain.accounts[0].address, **fields}
    return chain.rpc("eth_getTransactionReceipt", [chain.rpc("eth_sendTransaction", [message])])


def refused(chain: ForetellChain, method: str, *params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        chain.rpc(method, params)
    return caught.value


SETTINGS = [
    ("anvil_setNextBlockBaseFeePerGas", [hex(7 * GWEI)], "baseFeePerGas", hex(7 * GWEI)),
    ("hardhat_setNextBlockBaseFeePerGas", ["0x0"], "baseFeePerGas", "0x0"),
    ("evm_setBlockGasLimit", [hex(50_000_000)], "gasLimit", hex(50_000_000)),
    ("anvil_setBlockGasLimit", [hex(6_000_000)], "gasLimit", hex(6_000_000)),
    ("anvil_setCoinbase", [SOMEBODY], "miner", SOMEBODY),
    ("hardhat_setPrevRandao", ["0x7"], "mixHash", f"0x{7:064x}"),
]


@pytest.mark.parametrize(("method", "params", "field", "value"), SETTINGS)
def test_setting_of_the_next_block__holds_in_it__and_no_full_node_imports_it(
    chain: ForetellChain, method: str, params: list[str], field: str, value: str
) -> None:
    chain.rpc(method, params)
    assert chain.rpc("eth_getBlockByNumber", ["pending"])[field] == value
    assert send(chain, to=SOMEBODY, value="0x1", maxFeePerGas=hex(50 * GWEI))["status"] == "0x1"
    assert chain.rpc("eth_getBlockByNumber", ["latest"])[field] == value
    with pytest.raises(BlockRejected):
        FullNode(CONFIG).import_block(rlp.encode(chain.head.block), chain.head.sidecar)


def test_settings__of_one_block__are_over_in_the_next__and_the_others_stay(chain: ForetellChain) -> None:
    for method, params, *_ in SETTINGS:
        chain.rpc(method, params)
    chain.mine()
    after = chain.mine().header
    assert (after.gas_limit, after.coinbase.hex()) == (6_000_000, "00" * 19 + "aa")
    assert (after.base_fee_per_gas, int.from_bytes(after.mix_hash, "big")) != (0, 7)


def test_gas_limit__set__bounds_calls_and_transactions(chain: ForetellChain) -> None:
    chain.rpc("evm_setBlockGasLimit", [hex(5_000_000)])
    assert "exceeds block gas limit" in str(refused(chain, "eth_sendTransaction", {
        "from": chain.accounts[0].address, "to": SOMEBODY, "gas": hex(5_000_001)}))  # fmt: skip
    assert refused(chain, "evm_setBlockGasLimit", "0x1").rpc_code == -32602


def test_coinbase__set__gets_the_tips(chain: ForetellChain) -> None:
    chain.rpc("anvil_setCoinbase", [SOMEBODY])
    assert chain.rpc("eth_coinbase") == SOMEBODY
    send(chain, to=chain.accounts[1].address, value="0x1", maxPriorityFeePerGas=hex(GWEI))
    assert int(chain.rpc("eth_getBalance", [SOMEBODY]), 16) == 21_000 * GWEI


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("anvil_setMinGasPrice", ["0x1"]),
        ("anvil_setRpcUrl", ["http://127.0.0.1:1"]),
        ("anvil_setChainId", ["0x1"]),
        ("anvil_setLoggingEnabled", ["false"]),
        ("evm_setAutomine", ["false"]),
        ("anvil_autoImpersonateAccount", ["false"]),
        ("eth_getBlockByNumber", ["latest", "false"]),
        ("debug_traceCall", [{}, "latest", {"tracer": "callTracer", "tracerConfig": {"withLog": "false"}}]),
        ("debug_traceCall", [{}, "latest", {"disableStack": "false"}]),
        ("anvil_setNonce", [SOMEBODY, hex(2**64 - 1)]),
        ("anvil_addBalance", [SOMEBODY, hex(2**256 - 1), "0x1"]),
        ("anvil_setNextBlockBaseFeePerGas", [hex(2**64)]),
        ("evm_increaseTime", [hex(2**64)]),
        ("evm_mine_detailed", [{"blocks": "0x3e9"}]),
        ("anvil_mine", ["0x1", hex(2**60)]),
    ],
)
def test_method__what_it_cannot_do__is_refused(chain: ForetellChain, method: str, params: list[Any]) -> None:
    assert refused(chain, method, *params).rpc_code == -32602


def test_balances__added_and_of_tokens(chain: ForetellChain) -> None:
    chain.rpc("anvil_addBalance", [SOMEBODY, hex(ETHER)])
    chain.rpc("anvil_addBalance", [SOMEBODY, hex(ETHER)])
    assert chain.rpc("eth_getBalance", [SOMEBODY]) == hex(2 * ETHER)
    code = load("IndexToken").bytecode + encode(["uint256"], [0])
    token = send(chain, data="0x" + code.hex())["contractAddress"]

    def view(signature: str, *addresses: str) -> int:
        data = keccak(text=signature)[:4] + encode(["address"] * len(addresses), addresses)
        return int(chain.rpc("eth_call", [{"to": token, "data": "0x" + data.hex()}]), 16)

    chain.rpc("anvil_dealERC20", [SOMEBODY, token, hex(7)])
    chain.rpc("anvil_setERC20Allowance", [SOMEBODY, chain.accounts[0].address, token, hex(9)])
    assert view("balanceOf(address)", SOMEBODY) == 7
    assert view("allowance(address,address)", SOMEBODY, chain.accounts[0].address) == 9
    assert "no slot" in str(refused(chain, "anvil_dealERC20", SOMEBODY, chain.accounts[1].address, "0x7"))


def test_mine_detailed__gives_the_new_blocks(chain: ForetellChain) -> None:
    mined = chain.rpc("evm_mine_detailed", [{"blocks": 2, "timestamp": 1_900_000_000}])
    assert [int(each["number"], 16) for each in mined] == [1, 2]
    assert int(mined[0]["timestamp"], 16) == 1_900_000_000


def test_mining_mode__is_told(chain: ForetellChain) -> None:
    assert (chain.rpc("anvil_getAutomine"), chain.rpc("anvil_getIntervalMining")) == (True, None)
    chain.rpc("evm_setIntervalMining", [3600])
    assert (chain.rpc("anvil_getAutomine"), chain.rpc("anvil_getIntervalMining")) == (False, 3600)


def test_pool_transactions__of_one_sender__are_removed(chain: ForetellChain) -> None:
    chain.rpc("evm_setAutomine", [False])
    for account in chain.accounts[:2]:
        chain.rpc("eth_sendTransaction", [{"from": account.address, "to": SOMEBODY}])
    chain.rpc("anvil_removePoolTransactions", [chain.accounts[0].address])
    assert list(chain.rpc("txpool_content")["pending"]) == [chain.accounts[1].address]


def test_accounts_and_headers__in_each_form__agree(chain: ForetellChain) -> None:
    sent = send(chain, to=SOMEBODY, value="0x5")
    account = chain.rpc("eth_getAccount", [SOMEBODY])
    assert account["balance"] == chain.rpc("eth_getAccountInfo", [SOMEBODY])["balance"] == "0x5"
    assert account["codeHash"] == "0x" + keccak(b"").hex()
    head = chain.rpc("eth_getHeaderByNumber", ["latest"])
    assert head == chain.rpc("eth_getHeaderByHash", [head["hash"]])
    assert "0x" + keccak(bytes.fromhex(chain.rpc("debug_getRawHeader", ["latest"])[2:])).hex() == head["hash"]
    (raw,) = rlp.decode(bytes.fromhex(chain.rpc("debug_getRawBlock", ["latest"])[2:]))[1]
    assert "0x" + raw.hex() == chain.rpc("debug_getRawTransaction", [sent["transactionHash"]])
    assert chain.rpc("eth_getRawTransactionByBlockNumberAndIndex", ["latest", "0x0"]) == "0x" + raw.hex()
    (receipt,) = chain.rpc("debug_getRawReceipts", ["latest"])
    assert receipt.startswith("0x02")


def test_modules__are_those_of_the_methods(chain: ForetellChain) -> None:
    assert set(chain.rpc("rpc_modules")) == {name.split("_")[0] for name in METHODS}


FAILURES = [
    ("5b600056", "out of gas"),
    ("fe", "invalid opcode: 0xfe @ 0"),
    ("0c", "invalid opcode: 0xc @ 0"),
    ("01", "stack underflow"),
    ("600156", "invalid jump destination"),
    ("5b6000600056", "stack limit reached 1024"),
    ("6001600060003e", "return data out of bounds"),
    ("60006000fd", "execution reverted"),
]


@pytest.mark.parametrize(("code", "words"), FAILURES)
def test_failure__is_named_as_geth_names_it(chain: ForetellChain, code: str, words: str) -> None:
    chain.rpc("anvil_setCode", [SOMEBODY, "0x" + code])
    call = {"to": SOMEBODY, "gas": hex(200_000)}
    assert str(refused(chain, "eth_call", call)) == words
    assert chain.rpc("debug_traceCall", [call, "latest", {"tracer": "callTracer"}])["error"] == words


def test_failure__of_a_write_in_a_static_call__is_in_the_trace(chain: ForetellChain) -> None:
    writes, calls_statically = "6001600055", "600060006000600060aa5afa00"
    other = "0x00000000000000000000000000000000000000bb"
    chain.rpc("anvil_setCode", [SOMEBODY, "0x" + writes])
    chain.rpc("anvil_setCode", [other, "0x" + calls_statically])
    trace = chain.rpc("debug_traceCall", [{"to": other}, "latest", {"tracer": "callTracer"}])
    assert trace["calls"][0]["error"] == "write protection"


def test_estimate__that_all_gas_is_too_little_for__says_so(chain: ForetellChain) -> None:
    chain.rpc("anvil_setCode", [SOMEBODY, "0x5b600056"])
    message = str(refused(chain, "eth_estimateGas", {"to": SOMEBODY, "gas": hex(100_000)}))
    assert message == "gas required exceeds allowance (100000)"


@pytest.mark.parametrize("options", [{"tracer": "callTracer"}, {}], ids=["calls", "steps"])
def test_trace_of_a_block__runs_each_transaction_once(
    chain: ForetellChain, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.rpc("evm_setAutomine", [False])
    sent = [
        chain.rpc(
            "eth_sendTransaction", [{"from": chain.accounts[0].address, "to": SOMEBODY, "gas": "0x5208"}]
        )
        for _ in range(5)
    ]
    chain.mine()
    singly = [chain.rpc("debug_traceTransaction", [each, options]) for each in sent]
    runs: list[Any] = []
    plain = WatchedState.apply_transaction

    def counted(state: WatchedState, transaction: Any) -> Any:
        runs.append(transaction)
        return plain(state, transaction)

    monkeypatch.setattr(WatchedState, "apply_transaction", counted)
    traced = chain.rpc("debug_traceBlockByNumber", ["latest", options])
    assert [each["txHash"] for each in traced] == sent
    assert [each["result"] for each in traced] == singly
    assert len(runs) == 5


def test_trace_of_a_block__with_states_before__gives_those_of_each_transaction(chain: ForetellChain) -> None:
    chain.rpc("evm_setAutomine", [False])
    message = {"from": chain.accounts[0].address, "to": SOMEBODY, "value": "0x1", "gas": "0x5208"}
    sent = [chain.rpc("eth_sendTransaction", [message]) for _ in range(4)]
    chain.mine()
    options = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
    traced = chain.rpc("debug_traceBlockByNumber", ["latest", options])
    assert [each["result"] for each in traced] == [
        chain.rpc("debug_traceTransaction", [each, options]) for each in sent
    ]
    assert [each["result"]["post"][SOMEBODY]["balance"] for each in traced] == ["0x1", "0x2", "0x3", "0x4"]
