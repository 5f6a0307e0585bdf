"""What stock py-evm takes and Ethereum does not, the mempool refuses."""

from collections.abc import Iterator
from typing import Any

import pytest

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from tests.conformance.generate import CONTRACTS
from tests.conformance.wire import ACCESS_LIST, DYNAMIC_FEE, LEGACY, Wire

GWEI = 10**9


@pytest.fixture(scope="module")
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create() as made:
        yield made


def send(chain: ForetellChain, kind: int, **fields: Any) -> str:
    given = {"chain_id": chain.config.chain_id, "max_fee": 10 * GWEI, "tip": GWEI, "gas": 21_000, **fields}
    nonce = int(chain.rpc("eth_getTransactionCount", [chain.accounts[0].address, "latest"]), 16)
    raw = Wire(kind, nonce, to=CONTRACTS[0], **given).signed(chain.accounts[0].key)
    return str(chain.rpc("eth_sendRawTransaction", ["0x" + raw.hex()]))


@pytest.mark.parametrize("kind", [LEGACY, ACCESS_LIST, DYNAMIC_FEE])
def test_send__a_right_transaction__is_taken(chain: ForetellChain, kind: int) -> None:
    assert chain.rpc("eth_getTransactionReceipt", [send(chain, kind)])["status"] == "0x1"


def test_send__a_tip_over_the_greatest_fee__is_refused(chain: ForetellChain) -> None:
    with pytest.raises(RpcError, match="max priority fee per gas higher than max fee per gas"):
        send(chain, DYNAMIC_FEE, tip=11 * GWEI)


@pytest.mark.parametrize("kind", [LEGACY, ACCESS_LIST, DYNAMIC_FEE])
def test_send__another_chain_s_transaction__is_refused(chain: ForetellChain, kind: int) -> None:
    with pytest.raises(RpcError, match="chain id 2 is not"):
        send(chain, kind, chain_id=2)


def test_send__less_gas_than_the_floor_of_its_calldata__is_refused(chain: ForetellChain) -> None:
    """EIP-7623: 100 bytes that are not zero cost 21,000 and 4,000, however little the transaction uses."""
    data = b"\1" * 100
    with pytest.raises(RpcError, match="intrinsic gas too low: 24999 < 25000"):
        send(chain, DYNAMIC_FEE, data=data, gas=24_999)
    assert chain.rpc("eth_getTransactionReceipt", [send(chain, DYNAMIC_FEE, data=data, gas=25_000)])[
        "gasUsed"
    ] == hex(25_000)


def test_call__less_gas_than_the_floor_of_its_calldata__is_refused(chain: ForetellChain) -> None:
    message = {"to": "0x" + CONTRACTS[0].hex(), "data": "0x" + "01" * 100}
    with pytest.raises(RpcError, match="intrinsic gas too low: have 24999, want 25000"):
        chain.rpc("eth_call", [{**message, "gas": hex(24_999)}])
    assert chain.rpc("eth_call", [{**message, "gas": hex(25_000)}]) == "0x"
    assert chain.rpc("eth_estimateGas", [message]) == hex(25_000)
