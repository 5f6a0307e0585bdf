"""web3.py's own tests of nodes, which ship in its wheel, against the development node over HTTP.

A test that the node must not pass is overridden here, with the reason.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from web3 import Web3
from web3._utils.contract_sources.contract_data._custom_contract_data import EMITTER_ENUM
from web3._utils.contract_sources.contract_data.emitter_contract import EMITTER_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.math_contract import MATH_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.offchain_lookup import OFFCHAIN_LOOKUP_DATA
from web3._utils.contract_sources.contract_data.panic_errors_contract import PANIC_ERRORS_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.revert_contract import REVERT_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.storage_contract import STORAGE_CONTRACT_DATA
from web3._utils.module_testing import (
    EthModuleTest,
    GoEthereumDebugModuleTest,
    GoEthereumTxPoolModuleTest,
    NetModuleTest,
    Web3ModuleTest,
)
from web3._utils.module_testing.utils import RequestMocker

from foretell_evm.chain import ForetellChain
from tests.conformance.web3_names import needs_pending


@pytest.fixture
def request_mocker() -> type[RequestMocker]:
    return RequestMocker


@pytest.fixture
def skip_if_testrpc() -> Callable[[Web3], None]:
    return lambda w3: None


@pytest.fixture
def w3(chain: ForetellChain, url: str, request: pytest.FixtureRequest) -> Iterator[Web3]:
    snapshot = chain.snapshot()
    made = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 30}))
    made.eth.default_account = made.eth.accounts[0]
    if needs_pending(request.node.name):
        chain.set_automine(enabled=False)
    yield made
    chain.set_automine(enabled=True)
    chain.revert(snapshot)


def deploy(w3: Web3, data: dict[str, Any]) -> Any:
    factory = w3.eth.contract(**data)
    sent = factory.constructor().transact()
    return factory(w3.eth.wait_for_transaction_receipt(sent)["contractAddress"])


@pytest.fixture
def math_contract_deploy_txn_hash(w3: Web3) -> Any:
    return w3.eth.contract(**MATH_CONTRACT_DATA).constructor().transact()


@pytest.fixture
def math_contract(w3: Web3, math_contract_deploy_txn_hash: Any) -> Any:
    receipt = w3.eth.wait_for_transaction_receipt(math_contract_deploy_txn_hash)
    return w3.eth.contract(receipt["contractAddress"], abi=MATH_CONTRACT_DATA["abi"])


@pytest.fixture(
    params=[lambda address: address, lambda address: bytes.fromhex(address[2:])], ids=["text", "bytes"]
)
def address_conversion_func(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def math_contract_address(math_contract: Any, address_conversion_func: Any) -> Any:
    return address_conversion_func(math_contract.address)


@pytest.fixture
def storage_contract(w3: Web3) -> Any:
    return deploy(w3, STORAGE_CONTRACT_DATA)


@pytest.fixture
def emitter_contract(w3: Web3) -> Any:
    return deploy(w3, EMITTER_CONTRACT_DATA)


@pytest.fixture
def emitter_contract_address(emitter_contract: Any, address_conversion_func: Any) -> Any:
    return address_conversion_func(emitter_contract.address)


@pytest.fixture
def revert_contract(w3: Web3) -> Any:
    return deploy(w3, REVERT_CONTRACT_DATA)


@pytest.fixture
def offchain_lookup_contract(w3: Web3) -> Any:
    return deploy(w3, OFFCHAIN_LOOKUP_DATA)


@pytest.fixture
def panic_errors_contract(w3: Web3) -> Any:
    return deploy(w3, PANIC_ERRORS_CONTRACT_DATA)


@pytest.fixture
def empty_block(w3: Web3) -> Any:
    w3.provider.make_request("evm_mine", [])
    return w3.eth.get_block("latest")


@pytest.fixture
def block_with_txn(w3: Web3) -> Any:
    account = w3.eth.default_account
    sent = w3.eth.send_transaction({"from": account, "to": account, "value": 10**9, "gas": 21_000})
    return w3.eth.get_block(w3.eth.get_transaction(sent)["blockNumber"])


@pytest.fixture
def mined_txn_hash(block_with_txn: Any) -> Any:
    return block_with_txn["transactions"][0]


@pytest.fixture
def block_with_txn_with_log(w3: Web3, emitter_contract: Any) -> Any:
    log = emitter_contract.functions.logDouble(
        which=EMITTER_ENUM["LogDoubleWithIndex"], arg0=12345, arg1=54321
    )
    return w3.eth.get_block(w3.eth.get_transaction(log.transact())["blockNumber"])


@pytest.fixture
def txn_hash_with_log(block_with_txn_with_log: Any) -> Any:
    return block_with_txn_with_log["transactions"][0]


@pytest.fixture
def keyfile_account_pkey(chain: ForetellChain) -> Any:
    return chain.accounts[1].key.to_hex()


@pytest.fixture
def keyfile_account_address(chain: ForetellChain) -> Any:
    return chain.accounts[1].address


@pytest.fixture
def keyfile_account_address_dual_type(keyfile_account_address: Any, address_conversion_func: Any) -> Any:
    return keyfile_account_address


class TestWeb3(Web3ModuleTest):
    def _check_web3_client_version(self, client_version: str) -> None:
        assert client_version.startswith("foretell/")


class TestNet(NetModuleTest):
    pass


class TestTxPool(GoEthereumTxPoolModuleTest):
    pass


class TestDebug(GoEthereumDebugModuleTest):
    pass


class TestEth(EthModuleTest):
    @pytest.mark.skip(reason="the answer is the bytes alone, as the specification says and geth does not")
    def test_eth_sign_transaction(self) -> None: ...

    test_eth_sign_transaction_legacy = test_eth_sign_transaction
    test_eth_sign_transaction_hex_fees = test_eth_sign_transaction
    test_eth_sign_transaction_ens_names = test_eth_sign_transaction

    @pytest.mark.skip(reason="eth_account signs an array that has fewer items than its type says")
    def test_invalid_eth_sign_typed_data(self) -> None: ...

    @pytest.mark.skip(reason="the pending block has a hash, as anvil's has and geth's has not")
    def test_eth_getBlockByHash_pending(self) -> None: ...
