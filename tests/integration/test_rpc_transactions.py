"""Every type of transaction by every door, and as clients read it back, which is as anvil shows it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils import to_canonical_address, to_checksum_address
from web3 import HTTPProvider

from foretell_evm.blobs import BLOB_BYTES, MAX_BLOBS, BlobSidecar
from foretell_evm.chain import ForetellChain
from foretell_evm.config import GWEI, ChainConfig
from foretell_evm.errors import RpcError
from foretell_evm.full_node import FullNode
from foretell_evm.vm import ForetellVM
from tests.kit.anvil import Anvil

CONFIG = ChainConfig(genesis_time=1_700_000_000)
BUILDER: Any = ForetellVM.get_transaction_builder()
TO = b"\x11" * 20
CHAIN_ID = 31337
FIRST_BLOB, SECOND_BLOB = (b"\0" + bytes([kind]) * 31 + bytes(BLOB_BYTES - 32) for kind in (1, 2))
DELEGATE = to_checksum_address("0x" + "de" * 20)


@pytest.fixture
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(CONFIG) as made:
        yield made


@pytest.fixture(scope="module")
def blobs() -> BlobSidecar:
    return BlobSidecar.of([FIRST_BLOB, SECOND_BLOB])


def dynamic(nonce: int, **fields: Any) -> dict[str, Any]:
    return {
        "chain_id": CHAIN_ID, "nonce": nonce, "max_priority_fee_per_gas": GWEI, "max_fee_per_gas": 3 * GWEI,
        "gas": 100_000, "to": TO, "value": 1, "data": b"", "access_list": [], **fields,
    }  # fmt: skip


def blob_transaction(key: PrivateKey, nonce: int, sidecar: BlobSidecar, **fields: Any) -> bytes:
    unsigned = BUILDER.new_unsigned_blob_transaction(
        max_fee_per_blob_gas=10,
        **{"blob_versioned_hashes": sidecar.versioned_hashes, **dynamic(nonce), **fields},
    )
    return bytes(unsigned.as_signed_transaction(key).encode())


def network_form(consensus: bytes, sidecar: BlobSidecar) -> str:
    lists = [list(part) for part in (sidecar.blobs, sidecar.commitments, sidecar.proofs)]
    return "0x" + (consensus[:1] + rlp.encode([rlp.decode(consensus[1:]), *lists])).hex()


def authorization(key: PrivateKey, nonce: int = 0) -> dict[str, Any]:
    signed = Account.sign_authorization(
        {"chainId": CHAIN_ID, "address": DELEGATE, "nonce": nonce}, key.to_bytes()
    )
    return {
        "chain_id": CHAIN_ID, "address": to_canonical_address(DELEGATE), "nonce": nonce,
        "y_parity": signed.y_parity, "r": signed.r, "s": signed.s,
    }  # fmt: skip


def authorization_json(key: PrivateKey, nonce: int = 0) -> dict[str, str]:
    fields = authorization(key, nonce)
    names = {"chain_id": "chainId", "nonce": "nonce", "y_parity": "yParity", "r": "r", "s": "s"}
    return {"address": DELEGATE, **{theirs: hex(fields[ours]) for ours, theirs in names.items()}}


def raw_of_each_type(key: PrivateKey, other: PrivateKey, sidecar: BlobSidecar) -> list[str]:
    """Types 0 to 4 with nonces 0 to 4."""
    plain = {"gas_price": 3 * GWEI, "gas": 100_000, "to": TO, "value": 1, "data": b"\1"}
    listed = [(TO, (1, 2))]
    unsigned = [
        BUILDER.create_unsigned_transaction(nonce=0, **plain),
        BUILDER.new_unsigned_access_list_transaction(chain_id=CHAIN_ID, nonce=1, access_list=listed, **plain),
        BUILDER.new_unsigned_dynamic_fee_transaction(**dynamic(2, access_list=listed)),
    ]
    set_code = BUILDER.new_unsigned_set_code_transaction(
        authorization_list=[authorization(other)], **dynamic(4)
    )
    return [
        *("0x" + each.as_signed_transaction(key, chain_id=CHAIN_ID).encode().hex() for each in unsigned),
        network_form(blob_transaction(key, 3, sidecar), sidecar),
        "0x" + set_code.as_signed_transaction(key).encode().hex(),
    ]


def test_raw_transaction__of_each_type__is_in_a_block_that_a_full_node_imports(
    chain: ForetellChain, blobs: BlobSidecar
) -> None:
    key, other = chain.accounts[0].key, chain.accounts[1].key
    follower = FullNode(CONFIG)
    for kind, raw in enumerate(raw_of_each_type(key, other, blobs)):
        sent = chain.rpc("eth_sendRawTransaction", [raw])
        receipt = chain.rpc("eth_getTransactionReceipt", [sent])
        assert (receipt["type"], receipt["status"]) == (hex(kind), "0x1")
        follower.import_block(rlp.encode(chain.head.block), chain.head.sidecar)
    assert chain.rpc("eth_getCode", [chain.accounts[1].address]) == "0xef0100" + "de" * 20


def normalised(value: Any) -> Any:
    """Addresses without checksums: what a client compares."""
    if isinstance(value, dict):
        return {name: normalised(each) for name, each in value.items()}
    if isinstance(value, list):
        return [normalised(each) for each in value]
    return value.lower() if isinstance(value, str) else value


OF_THE_BLOCK = {"blockHash", "blockTimestamp", "gasPrice", "effectiveGasPrice"}
"""Fields that the chain decides: its genesis, its clock, its base fee."""
KEPT_BY_ANVIL_ALONE = {"blobs", "commitments", "proofs"}
"""A block has no blobs, and so nor have its transactions here or on geth."""


@pytest.mark.slow
@pytest.mark.anvil
def test_transaction_and_receipt__of_each_type__are_what_anvil_shows(
    chain: ForetellChain, blobs: BlobSidecar
) -> None:
    anvil = Anvil("--hardfork", "prague")
    anvil.start()
    # Anvil reads the trusted setup when the first blob comes, which takes it many seconds.
    patient = HTTPProvider(anvil.url, request_kwargs={"timeout": 120})
    try:

        def theirs(method: str, *params: Any) -> Any:
            answer: Any = patient.make_request(method, params)  # type: ignore[arg-type]
            assert "result" in answer, answer
            return answer["result"]

        for raw in raw_of_each_type(chain.accounts[0].key, chain.accounts[1].key, blobs):
            sent = chain.rpc("eth_sendRawTransaction", [raw])
            assert theirs("eth_sendRawTransaction", raw) == sent
            anvil.w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)
            for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt"):
                ours, other = (normalised(each) for each in (chain.rpc(method, [sent]), theirs(method, sent)))
                for name in OF_THE_BLOCK:
                    assert (name in ours) >= (name in other), name
                    ours.pop(name, None)
                    other.pop(name, None)
                shared = {name: value for name, value in other.items() if name not in KEPT_BY_ANVIL_ALONE}
                assert {name: ours.get(name, "missing") for name in shared} == shared
    finally:
        anvil.stop()


def test_blob_transaction__in_a_block__is_kept_without_its_blobs(
    chain: ForetellChain, blobs: BlobSidecar
) -> None:
    consensus = blob_transaction(chain.accounts[0].key, 0, blobs)
    sent = chain.rpc("eth_sendRawTransaction", [network_form(consensus, blobs)])
    assert chain.rpc("debug_getRawTransaction", [sent]) == "0x" + consensus.hex()
    block = chain.rpc("eth_getBlockByNumber", ["latest", True])
    assert block["blobGasUsed"] == hex(2 * 131_072)
    assert block["transactions"][0]["blobVersionedHashes"] == [
        "0x" + each.hex() for each in blobs.versioned_hashes
    ]


def broken(change: Callable[[BlobSidecar], BlobSidecar]) -> Callable[[bytes, BlobSidecar], str]:
    return lambda consensus, sidecar: network_form(consensus, change(sidecar))


MALFORMED: list[tuple[str, Callable[[bytes, BlobSidecar], str]]] = [
    ("network form", lambda consensus, _: "0x" + consensus.hex()),
    ("1 to 9 blobs", broken(lambda each: BlobSidecar((), (), ()))),
    ("1 to 9 blobs", broken(lambda each: BlobSidecar(each.blobs * 5, each.commitments * 5, each.proofs * 5))),
    ("1 proofs", broken(lambda each: BlobSidecar(each.blobs, each.commitments, each.proofs[:1]))),
    ("does not hold", broken(lambda each: BlobSidecar(each.blobs[::-1], each.commitments, each.proofs))),
    ("does not hold", broken(lambda each: BlobSidecar(each.blobs, each.commitments, each.proofs[::-1]))),
    ("hashes", broken(lambda each: BlobSidecar.of(each.blobs[::-1]))),
    ("malformed", broken(lambda each: BlobSidecar((b"\1", b"\2"), each.commitments, each.proofs))),
    ("network form", lambda *_: blob_bytes(b"", [], [], [])),
    ("not a blob transaction", lambda *_: blob_bytes([b""] * 14, [], [], [])),
    ("byte strings", lambda consensus, _: blob_bytes(rlp.decode(consensus[1:]), [[]], [], [])),
    ("Osaka", lambda consensus, _: blob_bytes(rlp.decode(consensus[1:]), b"\1", [], [], [])),
    ("not a signed transaction", lambda *_: "0x03ff"),
    ("not a signed transaction", lambda *_: "0x03"),
]


def blob_bytes(*parts: Any) -> str:
    return "0x03" + rlp.encode(list(parts)).hex()


@pytest.mark.parametrize(("reason", "send"), MALFORMED)
def test_blob_transaction__malformed__is_refused(
    chain: ForetellChain, blobs: BlobSidecar, reason: str, send: Callable[[bytes, BlobSidecar], str]
) -> None:
    consensus = blob_transaction(chain.accounts[0].key, 0, blobs)
    with pytest.raises(RpcError, match=reason) as refused:
        chain.rpc("eth_sendRawTransaction", [send(consensus, blobs)])
    assert refused.value.rpc_code == -32000


def test_blobs__more_than_a_block_holds__go_into_the_next(chain: ForetellChain, blobs: BlobSidecar) -> None:
    chain.rpc("evm_setAutomine", [False])
    key = chain.accounts[0].key
    for nonce in range(MAX_BLOBS // 2 + 1):
        chain.rpc("eth_sendRawTransaction", [network_form(blob_transaction(key, nonce, blobs), blobs)])
    first, second = chain.mine(), chain.mine()
    assert [len(each.block.transactions) for each in (first, second)] == [MAX_BLOBS // 2, 1]
    assert chain.rpc("eth_getBlockByNumber", ["latest"])["excessBlobGas"] == hex(2 * 131_072)


def test_send_transaction__with_blobs__makes_commitments_and_proofs(
    chain: ForetellChain, blobs: BlobSidecar
) -> None:
    message = {
        "from": chain.accounts[0].address,
        "to": DELEGATE,
        "blobs": ["0x" + each.hex() for each in blobs.blobs],
    }
    sent = chain.rpc("eth_sendTransaction", [message])
    found = chain.rpc("eth_getTransactionByHash", [sent])
    assert found["blobVersionedHashes"] == ["0x" + each.hex() for each in blobs.versioned_hashes]
    with pytest.raises(RpcError, match="hashes") as refused:
        chain.rpc("eth_sendTransaction", [{**message, "blobVersionedHashes": ["0x" + "01" * 32]}])
    assert refused.value.rpc_code == -32602
    with pytest.raises(RpcError, match="creates no contract"):
        chain.rpc("eth_sendTransaction", [{**message, "to": None, "data": "0x00"}])


def test_send_transaction__with_authorizations__delegates(chain: ForetellChain) -> None:
    sender, authority = chain.accounts[:2]
    message = {
        "from": sender.address,
        "to": DELEGATE,
        "authorizationList": [authorization_json(authority.key)],
    }
    sent = chain.rpc("eth_sendTransaction", [message])
    receipt = chain.rpc("eth_getTransactionReceipt", [sent])
    assert (receipt["type"], receipt["status"]) == ("0x4", "0x1")
    assert chain.rpc("eth_getTransactionByHash", [sent])["authorizationList"] == message["authorizationList"]
    assert chain.rpc("eth_getCode", [authority.address]) == "0xef0100" + "de" * 20
    with pytest.raises(RpcError, match="creates no contract"):
        chain.rpc("eth_sendTransaction", [{**message, "to": None}])


def test_call__with_authorizations__runs_with_the_delegation(chain: ForetellChain) -> None:
    authority = chain.accounts[1]
    returns_seven = "0x600760005260206000f3"
    chain.rpc("anvil_setCode", [DELEGATE, returns_seven])
    call = {"from": chain.accounts[0].address, "to": authority.address}
    assert chain.rpc("eth_call", [call]) == "0x"
    delegating = {**call, "authorizationList": [authorization_json(authority.key)]}
    assert int(chain.rpc("eth_call", [delegating]), 16) == 7
    assert chain.rpc("eth_call", [call]) == "0x"


def test_call__with_blob_hashes__reads_them(chain: ForetellChain, blobs: BlobSidecar) -> None:
    returns_first_blob_hash = "0x60004960005260206000f3"
    chain.rpc("anvil_setCode", [DELEGATE, returns_first_blob_hash])
    wanted = "0x" + blobs.versioned_hashes[0].hex()
    call = {"from": chain.accounts[0].address, "to": DELEGATE, "blobVersionedHashes": [wanted]}
    assert chain.rpc("eth_call", [call]) == wanted


def test_impersonated_transaction__with_authorizations__is_sent(chain: ForetellChain) -> None:
    chain.rpc("anvil_setBalance", [DELEGATE, hex(10**18)])
    chain.rpc("anvil_impersonateAccount", [DELEGATE])
    message = {
        "from": DELEGATE,
        "to": DELEGATE,
        "authorizationList": [authorization_json(chain.accounts[1].key)],
    }
    sent = chain.rpc("eth_sendTransaction", [message])
    found = chain.rpc("eth_getTransactionByHash", [sent])
    assert (found["type"], found["from"]) == ("0x4", DELEGATE)
