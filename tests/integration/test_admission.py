"""What a transaction must be to come into the mempool, and what it is not run for."""

from collections.abc import Iterator
from typing import Any

import pytest
from eth.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey

from foretell_evm.chain import ForetellChain
from foretell_evm.config import GWEI, ChainConfig, Mining
from foretell_evm.errors import EvmError
from foretell_evm.state import ForetellState
from foretell_evm.vm import ForetellVM

BUILDER: Any = ForetellVM.get_transaction_builder()
MAX_INITCODE = 49_152
# Runtime code STATICCALL, behind an init code that returns it.
CALLER_CODE = bytes.fromhex("60fa5f5360015ff3")


@pytest.fixture
def chain() -> Iterator[ForetellChain]:
    with ForetellChain.create(ChainConfig(genesis_time=1_700_000_000, mining=Mining.MANUAL)) as made:
        yield made


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Transactions that the EVM ran."""
    told: list[Any] = []
    run = ForetellState.apply_transaction

    def counted(state: ForetellState, transaction: Any) -> Any:
        told.append(transaction)
        return run(state, transaction)

    monkeypatch.setattr(ForetellState, "apply_transaction", counted)
    return told


def signed(key: PrivateKey, **fields: Any) -> Any:
    wanted = {
        "chain_id": 31337, "nonce": 0, "max_priority_fee_per_gas": 1, "max_fee_per_gas": 3 * GWEI,
        "gas": 15_000_000, "to": b"\x11" * 20, "value": 1, "data": b"", "access_list": (),
    }  # fmt: skip
    return BUILDER.new_unsigned_dynamic_fee_transaction(**{**wanted, **fields}).as_signed_transaction(key)


def send(chain: ForetellChain, transaction: Any) -> Any:
    return chain.rpc("eth_sendRawTransaction", ["0x" + transaction.encode().hex()])


def test_send__transfer__is_run_in_its_block_alone(chain: ForetellChain, runs: list[Any]) -> None:
    send(chain, signed(chain.accounts[0].key))
    assert not runs
    assert len(chain.mine().block.transactions) == len(runs) == 1


def test_send__code_that_calls__is_run_before(chain: ForetellChain, runs: list[Any]) -> None:
    key = chain.accounts[0].key
    created = send(chain, signed(key, to=b"", data=CALLER_CODE, value=0))
    assert not runs
    chain.mine()
    address = chain.rpc("eth_getTransactionReceipt", [created])["contractAddress"]
    assert chain.rpc("eth_getCode", [address, "latest"]) == "0xfa"
    runs.clear()
    send(chain, signed(key, nonce=1, to=bytes.fromhex(address[2:]), value=0))
    assert len(runs) == 1


def test_send__initcode_of_the_limit__is_mined(chain: ForetellChain) -> None:
    sent = send(chain, signed(chain.accounts[0].key, to=b"", data=bytes(MAX_INITCODE)))
    chain.mine()
    assert chain.rpc("eth_getTransactionReceipt", [sent])["status"] == "0x1"


def test_send__initcode_over_the_limit__is_refused_and_in_nobodys_way(chain: ForetellChain) -> None:
    key = chain.accounts[0].key
    with pytest.raises(EvmError, match="max initcode size exceeded"):
        send(chain, signed(key, to=b"", data=bytes(MAX_INITCODE + 1)))
    send(chain, signed(key))
    assert len(chain.mine().block.transactions) == 1


def test_send__signature_in_the_upper_half__is_refused(chain: ForetellChain) -> None:
    transaction = signed(chain.accounts[0].key)
    inner = transaction._inner.copy(s=SECPK1_N - transaction.s, y_parity=1 - transaction.y_parity)
    twin = type(transaction)(transaction.type_id, inner)
    assert twin.sender == transaction.sender
    with pytest.raises(EvmError, match="EIP-2"):
        send(chain, twin)


@pytest.mark.parametrize("fields", [{"r": 0}, {"s": 0}, {"r": SECPK1_N}, {"y_parity": 2}])
def test_send__no_signature__is_refused(chain: ForetellChain, fields: dict[str, int]) -> None:
    transaction = signed(chain.accounts[0].key)
    forged = type(transaction)(transaction.type_id, transaction._inner.copy(**fields))
    with pytest.raises(EvmError, match="signature"):
        send(chain, forged)
    assert not len(chain.mempool)
