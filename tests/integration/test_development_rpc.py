"""Development methods: impersonation, the pending block, fees, timestamps, the mempool; as anvil has them."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import to_checksum_address

from foretell_evm.chain import ForetellChain
from foretell_evm.config import ETHER, ChainConfig, Mining
from foretell_evm.errors import BlockRejected, RpcError
from foretell_evm.full_node import FullNode
from tests.kit.anvil import Anvil

STRANGER = to_checksum_address("0x" + "5a" * 20)
CONFIG = ChainConfig(genesis_time=1_700_000_000)


@pytest.fixture
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(CONFIG) as made:
        yield made


def transfer(chain: ForetellChain, sender: str, **fields: Any) -> dict[str, Any]:
    message = {"from": sender, "to": chain.accounts[1].address, "value": "0x1", **fields}
    sent = chain.rpc("eth_sendTransaction", [message])
    return dict(chain.rpc("eth_getTransactionReceipt", [sent]))


@pytest.mark.parametrize("prefix", ["anvil", "hardhat"])
def test_impersonation__of_an_account__sends_in_its_name(chain: ForetellChain, prefix: str) -> None:
    chain.rpc(f"{prefix}_setBalance", [STRANGER, hex(ETHER)])
    with pytest.raises(RpcError, match="anvil_impersonateAccount"):
        transfer(chain, STRANGER)
    chain.rpc(f"{prefix}_impersonateAccount", [STRANGER])
    receipt = transfer(chain, STRANGER)
    assert (receipt["from"], receipt["status"]) == (STRANGER, "0x1")
    assert chain.rpc("eth_getTransactionByHash", [receipt["transactionHash"]])["from"] == STRANGER
    assert chain.rpc("eth_getTransactionCount", [STRANGER]) == "0x1"
    chain.rpc(f"{prefix}_stopImpersonatingAccount", [STRANGER])
    with pytest.raises(RpcError):
        transfer(chain, STRANGER)


def test_impersonation__of_a_contract__sends_in_its_name(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBalance", [STRANGER, hex(ETHER)])
    chain.rpc("anvil_setCode", [STRANGER, "0x00"])
    chain.rpc("anvil_autoImpersonateAccount", [True])
    assert transfer(chain, STRANGER)["status"] == "0x1"
    chain.rpc("anvil_autoImpersonateAccount", [False])
    with pytest.raises(RpcError):
        transfer(chain, STRANGER)


def test_impersonation__same_message_of_two__has_two_hashes(chain: ForetellChain) -> None:
    other = to_checksum_address("0x" + "5b" * 20)
    chain.rpc("anvil_autoImpersonateAccount", [True])
    hashes = set()
    for sender in (STRANGER, other):
        chain.rpc("anvil_setBalance", [sender, hex(ETHER)])
        hashes.add(transfer(chain, sender)["transactionHash"])
    assert len(hashes) == 2


def test_unsigned_transaction__of_anybody__is_taken(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBalance", [STRANGER, hex(ETHER)])
    message = {"from": STRANGER, "to": chain.accounts[1].address, "value": "0x1"}
    sent = chain.rpc("eth_sendUnsignedTransaction", [message])
    assert chain.rpc("eth_getTransactionReceipt", [sent])["status"] == "0x1"


def test_impersonation__survives_a_snapshot_and_a_trace(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBalance", [STRANGER, hex(ETHER)])
    chain.rpc("anvil_impersonateAccount", [STRANGER])
    first = transfer(chain, STRANGER)["transactionHash"]
    number = chain.rpc("evm_snapshot")
    transfer(chain, STRANGER)
    assert chain.rpc("evm_revert", [number])
    assert chain.rpc("eth_getTransactionCount", [STRANGER]) == "0x1"
    tree = chain.rpc("debug_traceTransaction", [first, {"tracer": "callTracer"}])
    assert tree["from"] == STRANGER


def test_impersonated_transaction__in_a_block__is_imported_by_no_full_node(chain: ForetellChain) -> None:
    follower = FullNode(CONFIG)
    victim = chain.accounts[2].address
    chain.rpc("eth_sendUnsignedTransaction", [{"from": victim, "to": STRANGER, "value": hex(ETHER)}])
    with pytest.raises(BlockRejected):
        follower.import_block(rlp.encode(chain.head.block), chain.head.sidecar)


def test_raw_transaction__with_a_forged_signature__is_of_nobody_here(chain: ForetellChain) -> None:
    """The form of an impersonated transaction means nothing at the door."""
    chain.rpc("evm_setAutomine", [False])
    victim = chain.accounts[2].address
    sent = chain.rpc("eth_sendUnsignedTransaction", [{"from": victim, "to": STRANGER, "value": "0x1"}])
    raw = chain.rpc("eth_getRawTransactionByHash", [sent])
    chain.rpc("anvil_dropTransaction", [sent])
    with pytest.raises(RpcError):
        chain.rpc("eth_sendRawTransaction", [raw])


def test_pending_block__holds_what_is_ready__and_is_not_kept(chain: ForetellChain) -> None:
    chain.rpc("evm_setAutomine", [False])
    sender = chain.accounts[0].address
    message = {"from": sender, "to": STRANGER, "value": hex(ETHER)}
    sent = chain.rpc("eth_sendTransaction", [message])
    pending = chain.rpc("eth_getBlockByNumber", ["pending", False])
    assert (pending["number"], pending["transactions"]) == ("0x1", [sent])
    assert chain.rpc("eth_getBalance", [STRANGER, "pending"]) == hex(ETHER)
    assert chain.rpc("eth_getBalance", [STRANGER, "latest"]) == "0x0"
    assert chain.rpc("eth_blockNumber") == "0x0"
    chain.rpc("evm_mine")
    assert chain.rpc("eth_getBalance", [STRANGER, "latest"]) == hex(ETHER)


def test_timestamp_interval__set__spaces_blocks(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBlockTimestampInterval", [100])
    first, second = chain.mine(), chain.mine()
    assert second.header.timestamp == first.header.timestamp + 100
    assert chain.rpc("anvil_removeBlockTimestampInterval") is True


def test_set_time__the_clock__goes_on_from_there(chain: ForetellChain) -> None:
    there = chain.head.header.timestamp + 10**9
    chain.rpc("evm_setTime", [there])
    assert chain.mine().header.timestamp == there
    assert chain.mine().header.timestamp > there


def test_txpool__shows_pending_and_queued__and_drops(chain: ForetellChain) -> None:
    chain.rpc("evm_setAutomine", [False])
    sender = chain.accounts[0].address
    message = {"from": sender, "to": STRANGER, "value": "0x1", "gas": "0x5208"}
    sent = [
        chain.rpc("eth_sendTransaction", [{**message, "nonce": nonce}]) for nonce in ("0x0", "0x1", "0x5")
    ]
    assert chain.rpc("txpool_status") == {"pending": "0x2", "queued": "0x1"}
    content = chain.rpc("txpool_content")
    assert content["pending"][sender]["1"]["hash"] == sent[1]
    assert content["queued"][sender]["5"]["hash"] == sent[2]
    assert "1 wei + 21000 gas" in chain.rpc("txpool_inspect")["pending"][sender]["0"]
    assert chain.rpc("anvil_dropTransaction", [sent[0]]) == sent[0]
    assert chain.rpc("anvil_dropTransaction", [sent[0]]) is None
    assert chain.rpc("foretell_why", [sent[0]])["status"] == "evicted"
    chain.rpc("anvil_dropAllTransactions")
    assert chain.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}


def test_signatures__of_development_accounts__recover(chain: ForetellChain) -> None:
    sender = chain.accounts[0].address
    typed = {
        "types": {
            "EIP712Domain": [{"name": "name", "type": "string"}],
            "Vote": [{"name": "choice", "type": "uint256"}],
        },
        "primaryType": "Vote",
        "domain": {"name": "test"},
        "message": {"choice": 2},
    }
    signature = chain.rpc("eth_signTypedData_v4", [sender, typed])
    assert Account.recover_message(encode_typed_data(full_message=typed), signature=signature) == sender
    assert chain.rpc("personal_sign", ["0x1234", sender]) == chain.rpc("eth_sign", [sender, "0x1234"])
    raw = chain.rpc("eth_signTransaction", [{"from": sender, "to": STRANGER, "value": "0x1"}])
    assert (
        chain.rpc("eth_getTransactionReceipt", [chain.rpc("eth_sendRawTransaction", [raw])])["status"]
        == "0x1"
    )


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"gasPrice": "0x77359400"}, "0x0"),
        ({"gasPrice": "0x77359400", "accessList": [{"address": STRANGER, "storageKeys": ["0x1"]}]}, "0x1"),
        ({"accessList": [{"address": STRANGER, "storageKeys": []}]}, "0x2"),
        ({}, "0x2"),
    ],
)
def test_send_transaction__by_its_fields__has_its_type(
    chain: ForetellChain, fields: dict[str, Any], kind: str
) -> None:
    receipt = transfer(chain, chain.accounts[0].address, **fields)
    assert (receipt["type"], receipt["status"]) == (kind, "0x1")


@pytest.mark.parametrize(
    "fields",
    [
        {"blobs": ["0x"]},
        {"maxFeePerBlobGas": "0x1"},
        {"chainId": "0x1"},
        {"type": "0x5"},
        {"accessList": [{"address": STRANGER, "storageKeys": []}], "type": "0x0"},
        {"maxFeePerGas": "0x77359400", "gasPrice": "0x77359400"},
        {"authorizationList": [{"chainId": "0x1"}], "type": "0x2"},
        {"authorizationList": "0x"},
    ],
    ids=str,
)
def test_send_transaction__fields_that_would_be_left_out__are_refused(
    chain: ForetellChain, fields: dict[str, Any]
) -> None:
    with pytest.raises(RpcError, match=next(iter(fields)).replace("maxFeePerBlobGas", "blobs")) as refused:
        transfer(chain, chain.accounts[0].address, **fields)
    assert refused.value.rpc_code == -32602


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_signTypedData_v4", ["account", {"types": {}}]),
        ("eth_signTypedData_v4", ["account", "{"]),
        ("eth_signTypedData_v4", ["account", 5]),
        ("anvil_impersonateAccount", ["0x12"]),
        ("anvil_setBlockTimestampInterval", ["soon"]),
        ("eth_sendUnsignedTransaction", [[]]),
        ("anvil_dropTransaction", ["0x12"]),
    ],
)
def test_development_method__bad_parameters__are_refused(
    chain: ForetellChain, method: str, params: list[Any]
) -> None:
    given = [chain.accounts[0].address if each == "account" else each for each in params]
    with pytest.raises(RpcError) as refused:
        chain.rpc(method, given)
    assert refused.value.rpc_code == -32602


SCRIPT: list[tuple[str, list[Any]]] = [
    ("anvil_setBalance", [STRANGER, hex(ETHER)]),
    ("anvil_impersonateAccount", [STRANGER]),
    ("eth_sendTransaction", [{"from": STRANGER, "to": STRANGER, "value": "0x1"}]),
    ("eth_getBalance", ["0x" + "00" * 20, "latest"]),
    ("anvil_stopImpersonatingAccount", [STRANGER]),
    ("evm_setAutomine", [False]),
    ("txpool_status", []),
    ("eth_getBlockByNumber", ["pending", False]),
    ("eth_getBlockByNumber", ["latest", True]),
    ("anvil_setBlockTimestampInterval", [12]),
    ("anvil_removeBlockTimestampInterval", []),
    ("anvil_mine", ["0x2"]),
    ("anvil_setNonce", [STRANGER, "0x9"]),
    ("eth_getTransactionCount", [STRANGER, "latest"]),
    ("anvil_setCode", [STRANGER, "0x6001"]),
    ("eth_getCode", [STRANGER, "latest"]),
    ("anvil_setStorageAt", [STRANGER, "0x0", "0x" + "11" * 32]),
    ("eth_getStorageAt", [STRANGER, "0x0", "latest"]),
    ("evm_increaseTime", [10]),
    ("evm_snapshot", []),
    ("evm_mine", []),
    ("anvil_getAutomine", []),
    ("evm_setIntervalMining", [0]),
    ("eth_feeHistory", ["0x2", "latest", [50]]),
    ("eth_sign", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x12"]),
    ("net_version", []),
    ("web3_sha3", ["0x12"]),
    ("eth_nonsense", []),
    ("eth_getBalance", ["0x12", "latest"]),
    ("eth_getBalance", []),
]
"""What both nodes are asked in one go; quantities that depend on fees and clocks differ, shapes must not."""


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


@pytest.mark.anvil
def test_script__of_development_methods__has_the_shapes_that_anvil_gives(chain: ForetellChain) -> None:
    anvil = Anvil("--hardfork", "prague")
    anvil.start()
    try:
        differing = {}
        for method, params in SCRIPT:
            theirs = anvil.w3.provider.make_request(method, params)  # type: ignore[arg-type]
            try:
                ours: dict[str, Any] = {"result": chain.rpc(method, params)}
            except RpcError as error:
                ours = {"error": {"code": error.rpc_code}}
            if "error" in theirs or "error" in ours:
                mine, other = (each.get("error", {}).get("code") for each in (ours, theirs))
            else:
                mine, other = shape(ours["result"]), shape(theirs["result"])
                if isinstance(mine, dict) and isinstance(other, dict):
                    mine = {name: mine.get(name, "missing") for name in other}
            if mine != other:
                differing[f"{method}{params}"] = (mine, other)
        assert not differing, "\n".join(
            f"{name}: {mine} != {other}" for name, (mine, other) in differing.items()
        )
    finally:
        anvil.stop()


def test_mining__pending_block_under_interval_mining__is_served() -> None:
    with ForetellChain.create(ChainConfig(mining=Mining.MANUAL)) as chain:
        assert chain.rpc("eth_getBlockTransactionCountByNumber", ["pending"]) == "0x0"


@pytest.mark.parametrize("method", ["evm_mine", "evm_setNextBlockTimestamp", "evm_setTime"])
def test_time__after_the_last_second_of_all__is_refused(method: str) -> None:
    with ForetellChain.create(ChainConfig()) as chain:
        with pytest.raises(RpcError, match="no block has a time after 18446744073709551615") as refused:
            chain.rpc(method, [hex(2**64)])
        assert refused.value.rpc_code == -32602
        chain.rpc(method, [hex(2**64 - 1)])
