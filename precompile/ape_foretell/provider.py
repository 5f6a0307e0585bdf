"""The provider ``ethereum:local:foretell``: Ape's door to a devnet in this process."""

import gc
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog
from ape.api import ReceiptAPI, TestProviderAPI, TransactionAPI
from ape.exceptions import (
    APINotImplementedError,
    ContractLogicError,
    OutOfGasError,
    ProviderError,
    ProviderNotConnectedError,
    TransactionNotFoundError,
    UnknownSnapshotError,
    VirtualMachineError,
)
from ape.types import AddressType, BlockID, ContractCode, SnapshotID
from ape_ethereum.provider import Web3Provider
from ape_ethereum.trace import TraceApproach
from ape_ethereum.transactions import TransactionStatusEnum
from eth_pydantic_types import HexBytes
from eth_typing import Address
from eth_utils import to_canonical_address, to_hex
from web3.exceptions import ContractLogicError as Web3ContractLogicError
from web3.exceptions import Web3RPCError

from ape_foretell.config import ForetellConfig
from ape_foretell.receipts import with_values
from ape_foretell.reverts import failure_message, revert_message
from ape_foretell.system import system_contracts
from ape_foretell.trace import DevnetTrace
from foretell_evm.config import Mining
from foretell_evm.errors import EvmError, RpcError

if TYPE_CHECKING:
    from ape.api import BlockAPI, TraceAPI
    from eth.abc import StateAPI

    from foretell_cli.devnet import Devnet

_METHOD_NOT_FOUND = -32601
_REVERTED = 3


class DevnetProvider(Web3Provider, TestProviderAPI):
    """A chain of its own for each connection, gone when the connection ends."""

    _devnet: Any = None
    _settings: ForetellConfig | None = None
    _read: Any = None
    _call_trace_approach: TraceApproach | None = TraceApproach.GETH_CALL_TRACER

    # ---------------------------------------------------------------- connection

    @property
    def settings(self) -> ForetellConfig:
        # Ape validates them anew at each access, and asks for the chain id several times a transaction.
        return self._settings or cast(ForetellConfig, super().settings)

    @property
    def devnet(self) -> "Devnet":
        """The chain, its operators and models.

        Raises:
            ProviderNotConnectedError: not connected.
        """
        if self._devnet is None:
            raise ProviderNotConnectedError
        devnet: Devnet = self._devnet
        return devnet

    def connect(self) -> None:
        """Start a chain, bond its operators, and register its models."""
        if self._devnet is not None:
            return
        if not structlog.is_configured():
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        # Late: Ape imports this module whenever somebody asks for any provider of any network.
        from ape_foretell.start import start_devnet

        self._settings = self.settings
        self._devnet = start_devnet(self.settings, self.test_config, self.local_project.path)
        self._web3 = self._devnet.w3
        # Ape's imports leave hundreds of thousands of objects behind, and each full collection would look at
        # all of them: a fifth of the time that a plain suite takes.
        gc.freeze()
        if not self.settings.auto_mine:
            self.auto_mine = False

    def _post_connect(self) -> None:
        super()._post_connect()
        network = self.network
        for address, kind in system_contracts().items():
            self.chain_manager.contracts.cache_contract_type(
                address, kind, ecosystem_key=network.ecosystem.name, network_key=network.name
            )

    def disconnect(self) -> None:
        """End the chain and the operators' processes."""
        if self._devnet is not None:
            self._devnet.close()
            gc.unfreeze()
        self._devnet = self._web3 = self._settings = self._read = None
        self._client_version = None
        self._transaction_trace_cache.clear()
        self.chain_manager._snapshots[self.settings.chain_id] = []
        self.provider_settings = {}

    @property
    def is_connected(self) -> bool:
        return self._devnet is not None

    @property
    def chain_id(self) -> int:
        return self.settings.chain_id

    @property
    def uri(self) -> str:
        return "in this process"

    @property
    def http_uri(self) -> str | None:
        return None

    @property
    def ws_uri(self) -> str | None:
        return None

    @property
    def ipc_path(self) -> Path | None:
        return None

    # ---------------------------------------------------------------- fees

    @property
    def base_fee(self) -> int:
        return self.devnet.chain.pending_header().base_fee_per_gas or 0

    @property
    def priority_fee(self) -> int:
        return 0

    @property
    def gas_price(self) -> int:
        return self.base_fee

    @property
    def max_gas(self) -> int:
        return self.devnet.chain.head.header.gas_limit

    # ---------------------------------------------------------------- reads

    # Of the head and its state, without web3's layers: Ape asks for them several times a transaction.

    def _state(self) -> "StateAPI":
        """The state after the head, to be read alone."""
        head = self.devnet.chain.head
        if self._read is None or self._read[0] is not head:
            self._read = head, self.devnet.chain.state(head)
        state: StateAPI = self._read[1]
        return state

    def get_block(self, block_id: BlockID) -> "BlockAPI":
        return self._get_latest_block() if block_id == "latest" else super().get_block(block_id)

    def get_nonce(self, address: AddressType, block_id: BlockID | None = None) -> int:
        if block_id not in (None, "latest"):
            return int(super().get_nonce(address, block_id))
        return int(self._state().get_nonce(_canonical(address)))

    def get_balance(self, address: AddressType, block_id: BlockID | None = None) -> int:
        if block_id not in (None, "latest"):
            return int(super().get_balance(address, block_id))
        return int(self._state().get_balance(_canonical(address)))

    def get_code(self, address: AddressType, block_id: BlockID | None = None) -> ContractCode:
        if block_id not in (None, "latest"):
            return super().get_code(address, block_id)
        return HexBytes(self._state().get_code(_canonical(address)))

    # ---------------------------------------------------------------- requests

    def _make_request(self, rpc: str, parameters: Iterable[Any] | None = None) -> Any:
        try:
            return self.devnet.chain.rpc(rpc, list(parameters or ()))
        except RpcError as error:
            if error.rpc_code == _REVERTED:
                raise Web3ContractLogicError(str(error), data=error.data) from error
            if error.rpc_code == _METHOD_NOT_FOUND:
                raise APINotImplementedError(str(error)) from error
            raise ProviderError(str(error)) from error

    def stream_request(
        self, method: str, params: Iterable[Any], iter_path: str = "result.item"
    ) -> Iterator[Any]:
        """What Ape asks for a transaction's single steps, which are not kept: traces are call trees."""
        del params, iter_path
        raise APINotImplementedError(f"{method}: the provider foretell traces calls, not single steps")

    # ---------------------------------------------------------------- transactions

    def send_call(
        self,
        txn: TransactionAPI,
        block_id: BlockID | None = None,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> HexBytes:
        """Run a call, and wait for the inferences that it asks for. ``state`` overrides are not supported."""
        if state or kwargs.get("state_override"):
            raise APINotImplementedError("the provider foretell takes no state overrides")
        raise_on_revert = kwargs.get("raise_on_revert", txn.raise_on_revert)
        self._increment_call_func_coverage_hit_count(txn)
        arguments = self._prepare_call(txn, block_identifier=block_id)
        return self._eth_call(arguments, raise_on_revert=raise_on_revert, skip_trace=True)

    def send_transaction(self, txn: TransactionAPI) -> ReceiptAPI:
        """Send, and wait until the transaction is in a block, inferences that it waits for included.

        Raises:
            TransactionError: an inference did not come in time, or the transaction can never be in a block.
            ContractLogicError: it reverted (``raise_on_revert=False`` gives the receipt instead).
        """
        error: VirtualMachineError | None = None
        try:
            txn_hash = self._send_transaction(txn)
            self._wait_for(txn_hash)
        except (Web3RPCError, Web3ContractLogicError, EvmError) as failure:
            error = self.get_virtual_machine_error(failure, txn=txn, set_ape_traceback=False)
            if txn.raise_on_revert:
                raise error from failure
            txn_hash = to_hex(txn.txn_hash)
        receipt = self._receipt_of(txn, txn_hash, error)
        self.chain_manager.history.append(receipt)
        if receipt.failed and error is None:
            receipt.error = self._revert_of(receipt)
            if txn.raise_on_revert:
                raise receipt.error
        return receipt

    def _send_transaction(self, txn: TransactionAPI) -> str:
        if txn.sender is not None and txn.signature is None:
            return str(super()._send_transaction(txn))
        return str(self.devnet.chain.rpc("eth_sendRawTransaction", [to_hex(txn.serialize_transaction())]))

    def _wait_for(self, txn_hash: str) -> None:
        if self.auto_mine:
            self.devnet.chain.wait_for(bytes(HexBytes(txn_hash)), self.settings.answer_seconds)

    def _receipt_of(
        self, txn: TransactionAPI, txn_hash: str, error: VirtualMachineError | None
    ) -> ReceiptAPI:
        data = txn.model_dump(by_alias=True, mode="json") | {"signature": txn.signature}
        confirmations = txn.required_confirmations or 0
        if error is None and self.auto_mine:
            mined = self._mined(txn_hash)
            data |= mined | {"gasPrice": mined["effectiveGasPrice"], "required_confirmations": confirmations}
            return self._create_receipt(**data).await_confirmations()
        return self._create_receipt(
            block_number=-1,
            error=error,
            required_confirmations=confirmations,
            status=TransactionStatusEnum.FAILING if error else TransactionStatusEnum.NO_ERROR,
            txn_hash=txn_hash,
            **data,
        )

    def _mined(self, txn_hash: str) -> dict[str, Any]:
        receipt = self.devnet.chain.rpc("eth_getTransactionReceipt", [txn_hash])
        if receipt is None:
            raise TransactionNotFoundError(txn_hash)
        return with_values(receipt)

    def get_transaction_trace(self, transaction_hash: str, **kwargs: Any) -> "TraceAPI":
        if transaction_hash not in self._transaction_trace_cache:
            kwargs.setdefault("call_trace_approach", self.call_trace_approach)
            trace = DevnetTrace(transaction_hash=transaction_hash, **kwargs)
            self._transaction_trace_cache[transaction_hash] = trace
        return self._transaction_trace_cache[transaction_hash]

    def _revert_of(self, receipt: ReceiptAPI) -> VirtualMachineError:
        """Why a transaction in a block failed, from its own execution: run again, it might end otherwise."""
        computation = self.devnet.chain.history.computation(bytes(HexBytes(receipt.txn_hash)))
        if computation is None:
            return ContractLogicError(txn=receipt, set_ape_traceback=False)
        if computation.error.__class__.__name__ == "OutOfGas":
            return OutOfGasError(txn=receipt)
        return self._logic_error(bytes(computation.output), txn=receipt)

    def get_virtual_machine_error(self, exception: Exception, **kwargs: Any) -> VirtualMachineError:
        data = getattr(exception, "data", None)
        if isinstance(exception, Web3ContractLogicError) and isinstance(data, str) and data.startswith("0x"):
            return self._logic_error(bytes.fromhex(data[2:]), base_err=exception, **kwargs)
        message = failure_message(exception)
        if "out of gas" in message.lower():
            return OutOfGasError(base_err=exception, **kwargs)
        return VirtualMachineError(message, base_err=exception, **kwargs)

    def _logic_error(self, data: bytes, **kwargs: Any) -> ContractLogicError:
        # Ape's traceback of the source needs single steps.
        kwargs["set_ape_traceback"] = False
        error = ContractLogicError(revert_message=revert_message(data), **kwargs)
        enriched: ContractLogicError = self.compiler_manager.enrich_error(error)
        return enriched

    # ---------------------------------------------------------------- development

    @property
    def auto_mine(self) -> bool:
        return self.devnet.chain.mining is Mining.AUTO

    @auto_mine.setter
    def auto_mine(self, value: bool) -> None:
        self.devnet.chain.set_automine(value)

    def mine(self, num_blocks: int = 1) -> None:
        self.devnet.chain.mine(num_blocks)

    def set_timestamp(self, new_timestamp: int) -> None:
        chain = self.devnet.chain
        if new_timestamp == chain.pending_header().timestamp:
            return
        try:
            chain.set_next_timestamp(new_timestamp)
        except RpcError as error:
            raise ProviderError(str(error)) from error

    def snapshot(self) -> SnapshotID:
        return self.devnet.chain.snapshot()

    def restore(self, snapshot_id: SnapshotID) -> None:
        chain = self.devnet.chain
        if not chain.revert(int(snapshot_id)):
            raise UnknownSnapshotError(snapshot_id)
        # The same transaction, sent again, has the same hash and may end otherwise.
        self._transaction_trace_cache.clear()
        # Otherwise a test would get, for SIGNED, the proven answer that an earlier test asked for.
        chain.pool.forget()

    def set_balance(self, address: AddressType, amount: int | str | bytes) -> None:
        wei = (
            int.from_bytes(amount, "big")
            if isinstance(amount, bytes)
            else self.conversion_manager.convert(amount, int)
        )
        self.make_request("anvil_setBalance", [address, hex(wei)])

    def set_code(self, address: AddressType, code: ContractCode) -> bool:
        self.make_request("anvil_setCode", [address, to_hex(HexBytes(code))])
        return True

    def set_storage(self, address: AddressType, slot: int, value: HexBytes) -> None:
        word = "0x" + bytes(HexBytes(value)).rjust(32, b"\0").hex()
        self.make_request("anvil_setStorageAt", [address, f"0x{slot:064x}", word])


def _canonical(address: str) -> Address:
    return Address(to_canonical_address(address))
