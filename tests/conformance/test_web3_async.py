"""web3.py's own tests of nodes for asynchronous clients, which ship in its wheel: over HTTP and WebSocket.

A test that the node must not pass is overridden here, with the reason.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from web3 import AsyncHTTPProvider, AsyncWeb3, WebSocketProvider
from web3._utils.contract_sources.contract_data._custom_contract_data import EMITTER_ENUM
from web3._utils.contract_sources.contract_data.emitter_contract import EMITTER_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.math_contract import MATH_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.offchain_lookup import OFFCHAIN_LOOKUP_DATA
from web3._utils.contract_sources.contract_data.panic_errors_contract import PANIC_ERRORS_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.revert_contract import REVERT_CONTRACT_DATA
from web3._utils.contract_sources.contract_data.storage_contract import STORAGE_CONTRACT_DATA
from web3._utils.module_testing import (
    AsyncEthModuleTest,
    AsyncNetModuleTest,
    GoEthereumAsyncDebugModuleTest,
    GoEthereumAsyncTxPoolModuleTest,
)
from web3._utils.module_testing.persistent_connection_provider import PersistentConnectionProviderTest
from web3._utils.module_testing.utils import RequestMocker

from foretell_evm.chain import ForetellChain
from tests.conformance.web3_names import needs_pending

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def request_mocker() -> type[RequestMocker]:
    return RequestMocker


@pytest.fixture
def async_skip_if_testrpc() -> Callable[[Any], Any]:
    async def go_on(w3: AsyncWeb3) -> None: ...

    return go_on


@pytest.fixture(params=["http", "websocket"])
def provider(url: str, port: int, request: pytest.FixtureRequest) -> Any:
    if request.param == "websocket":
        return WebSocketProvider(f"ws://127.0.0.1:{port}")
    return AsyncHTTPProvider(url, request_kwargs={"timeout": 30})


@pytest.fixture
async def async_w3(
    chain: ForetellChain, provider: Any, request: pytest.FixtureRequest
) -> AsyncIterator[AsyncWeb3]:
    snapshot = chain.snapshot()
    w3 = AsyncWeb3(provider)
    if isinstance(provider, WebSocketProvider):
        await w3.provider.connect()
    w3.eth.default_account = chain.accounts[0].address
    if needs_pending(request.node.name):
        chain.set_automine(enabled=False)
    yield w3
    await w3.provider.disconnect()
    chain.set_automine(enabled=True)
    chain.revert(snapshot)


async def deploy(w3: AsyncWeb3, contract: Any) -> Any:
    factory = w3.eth.contract(**contract)
    sent = await factory.constructor().transact()
    return factory((await w3.eth.wait_for_transaction_receipt(sent))["contractAddress"])


@pytest.fixture(
    params=[lambda address: address, lambda address: bytes.fromhex(address[2:])], ids=["text", "bytes"]
)
def address_conversion_func(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def async_math_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, MATH_CONTRACT_DATA)


@pytest.fixture
def async_math_contract_address(async_math_contract: Any, address_conversion_func: Any) -> Any:
    return address_conversion_func(async_math_contract.address)


@pytest.fixture
async def async_storage_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, STORAGE_CONTRACT_DATA)


@pytest.fixture
async def async_emitter_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, EMITTER_CONTRACT_DATA)


@pytest.fixture
def async_emitter_contract_address(async_emitter_contract: Any, address_conversion_func: Any) -> Any:
    return address_conversion_func(async_emitter_contract.address)


@pytest.fixture
async def async_revert_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, REVERT_CONTRACT_DATA)


@pytest.fixture
async def async_offchain_lookup_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, OFFCHAIN_LOOKUP_DATA)


@pytest.fixture
async def async_panic_errors_contract(async_w3: AsyncWeb3) -> Any:
    return await deploy(async_w3, PANIC_ERRORS_CONTRACT_DATA)


@pytest.fixture
async def async_empty_block(async_w3: AsyncWeb3) -> Any:
    await async_w3.provider.make_request("evm_mine", [])  # type: ignore[arg-type]
    return await async_w3.eth.get_block("latest")


@pytest.fixture
async def async_block_with_txn(async_w3: AsyncWeb3) -> Any:
    account = async_w3.eth.default_account
    message: Any = {"from": account, "to": account, "value": 10**9, "gas": 21_000}
    sent = await async_w3.eth.send_transaction(message)
    return await async_w3.eth.get_block((await async_w3.eth.get_transaction(sent))["blockNumber"])


@pytest.fixture
def mined_txn_hash(async_block_with_txn: Any) -> Any:
    return async_block_with_txn["transactions"][0]


@pytest.fixture
async def async_block_with_txn_with_log(async_w3: AsyncWeb3, async_emitter_contract: Any) -> Any:
    log = async_emitter_contract.functions.logDouble(
        which=EMITTER_ENUM["LogDoubleWithIndex"], arg0=12345, arg1=54321
    )
    sent = await log.transact()
    return await async_w3.eth.get_block((await async_w3.eth.get_transaction(sent))["blockNumber"])


@pytest.fixture
def txn_hash_with_log(async_block_with_txn_with_log: Any) -> Any:
    return async_block_with_txn_with_log["transactions"][0]


@pytest.fixture
def keyfile_account_pkey(chain: ForetellChain) -> Any:
    return chain.accounts[1].key.to_hex()


@pytest.fixture
def async_keyfile_account_address(chain: ForetellChain) -> Any:
    return chain.accounts[1].address


@pytest.fixture
def async_keyfile_account_address_dual_type(
    async_keyfile_account_address: Any, address_conversion_func: Any
) -> Any:
    return async_keyfile_account_address


class TestNet(AsyncNetModuleTest):
    pass


class TestTxPool(GoEthereumAsyncTxPoolModuleTest):
    pass


class TestDebug(GoEthereumAsyncDebugModuleTest):
    pass


class TestSubscriptions(PersistentConnectionProviderTest):
    @pytest.fixture(autouse=True)
    def blocks(self, chain: ForetellChain) -> Iterator[None]:
        chain.set_interval(0.3)
        yield
        chain.set_interval(0)

    @pytest.fixture
    def provider(self, port: int) -> WebSocketProvider:
        return WebSocketProvider(f"ws://127.0.0.1:{port}")


class TestEth(AsyncEthModuleTest):
    @pytest.mark.skip(reason="the answer is the bytes alone, as the specification says and geth does not")
    def test_async_eth_sign_transaction(self) -> None: ...

    test_async_eth_sign_transaction_legacy = test_async_eth_sign_transaction
    test_async_eth_sign_transaction_hex_fees = test_async_eth_sign_transaction
    test_async_eth_sign_transaction_ens_names = test_async_eth_sign_transaction

    @pytest.mark.skip(reason="web3.py's asynchronous client fails on it before it asks")
    def test_eth_sign_typed_data(self) -> None: ...

    @pytest.mark.skip(reason="eth_account signs an array that has fewer items than its type says")
    def test_invalid_eth_sign_typed_data(self) -> None: ...

    @pytest.mark.skip(reason="the pending block has a hash, as anvil's has and geth's has not")
    def test_eth_getBlockByNumber_pending(self) -> None: ...

    @pytest.mark.skip(reason="as that one: it reads the pending block")
    def test_eth_getBlockByHash_pending(self) -> None: ...

    @pytest.mark.skip(reason="asks no node: the default account is the client's own")
    def test_async_provider_default_account(self) -> None: ...

    @pytest.mark.skip(reason="asks no node: the default block is the client's own")
    def test_async_provider_default_block(self) -> None: ...
