"""What stock py-evm takes and Ethereum does not, the mempool refuses."""

from collections.abc import Iterator

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


def send(chain: ForetellChain, kind: int, **fields: int) -> str:
    given = {"chain_id": chain.config.chain_id, "max_fee": 10 * GWEI, "tip": GWEI, **fields}
    nonce = int(chain.rpc("eth_getTransactionCount", [chain.accounts[0].address, "latest"]), 16)
    raw = Wire(kind, nonce, 21_000, CONTRACTS[0], **given).signed(chain.accounts[0].key)
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
