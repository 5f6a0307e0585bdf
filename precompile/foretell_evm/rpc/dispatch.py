"""The one table of JSON-RPC methods, and how a request becomes an answer."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import EvmError, RpcError
from foretell_evm.rpc import access_lists, development, inference, proofs, reads, sends, txpool
from foretell_evm.rpc.codec import INVALID_PARAMS, Json
from foretell_evm.rpc.filters import Filters
from foretell_evm.rpc.followers import refuse_changes
from foretell_evm.rpc.trace import methods as trace

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
MAX_BATCH: Final = 1000

log = structlog.get_logger(__name__)
Method = Callable[..., Any]


def _under_both_names(methods: Mapping[str, Method]) -> dict[str, Method]:
    """Development methods as anvil names them and as hardhat does."""
    prefixes = ("anvil_", "hardhat_")
    return {prefix + name: method for prefix in prefixes for name, method in methods.items()}


METHODS: Final[dict[str, Method]] = {
    "web3_clientVersion": reads.client_version,
    "web3_sha3": reads.sha3,
    "net_version": reads.net_version,
    "net_listening": lambda _chain: True,
    "net_peerCount": lambda _chain: "0x0",
    "eth_chainId": reads.chain_id,
    "eth_blockNumber": reads.block_number,
    "eth_syncing": reads.syncing,
    "eth_mining": lambda _chain: True,
    "eth_accounts": reads.accounts,
    "eth_coinbase": lambda chain: chain.config.coinbase,
    "eth_getBalance": reads.get_balance,
    "eth_getCode": reads.get_code,
    "eth_getStorageAt": reads.get_storage_at,
    "eth_getTransactionCount": reads.get_transaction_count,
    "eth_getBlockByNumber": reads.get_block_by_number,
    "eth_getBlockByHash": reads.get_block_by_hash,
    "eth_getBlockTransactionCountByNumber": reads.get_block_transaction_count,
    "eth_getBlockTransactionCountByHash": reads.get_block_transaction_count_by_hash,
    "eth_getUncleCountByBlockNumber": reads.get_uncle_count,
    "eth_getUncleCountByBlockHash": reads.get_uncle_count,
    "eth_getBlockReceipts": reads.get_block_receipts,
    "eth_getTransactionByHash": reads.get_transaction_by_hash,
    "eth_getTransactionByBlockNumberAndIndex": reads.get_transaction_by_block,
    "eth_getTransactionByBlockHashAndIndex": reads.get_transaction_by_block_hash,
    "eth_getTransactionReceipt": reads.get_transaction_receipt,
    "eth_getLogs": reads.get_logs,
    "eth_gasPrice": reads.gas_price,
    "eth_maxPriorityFeePerGas": reads.max_priority_fee_per_gas,
    "eth_blobBaseFee": reads.blob_base_fee,
    "eth_feeHistory": reads.fee_history,
    "eth_call": sends.call,
    "eth_estimateGas": sends.estimate_gas,
    "eth_sendRawTransaction": sends.send_raw_transaction,
    "eth_sendTransaction": sends.send_transaction,
    "eth_sign": sends.sign,
    "eth_getProof": proofs.get_proof,
    "eth_createAccessList": access_lists.create_access_list,
    "debug_traceTransaction": trace.trace_transaction,
    "debug_traceCall": trace.trace_call,
    "debug_traceBlockByNumber": trace.trace_block,
    "debug_traceBlockByHash": trace.trace_block_by_hash,
    "evm_snapshot": development.snapshot,
    "evm_revert": development.revert,
    "evm_mine": development.mine,
    "evm_increaseTime": development.increase_time,
    "evm_setNextBlockTimestamp": development.set_next_block_timestamp,
    "evm_setAutomine": development.set_automine,
    "evm_setIntervalMining": development.set_interval_mining,
    "evm_setTime": development.set_time,
    "eth_sendUnsignedTransaction": sends.send_unsigned_transaction,
    "eth_signTransaction": sends.sign_transaction,
    "eth_signTypedData": sends.sign_typed_data,
    "eth_signTypedData_v4": sends.sign_typed_data,
    "personal_sign": sends.personal_sign,
    "eth_getRawTransactionByHash": reads.get_raw_transaction,
    "txpool_status": txpool.status,
    "txpool_content": txpool.content,
    "txpool_inspect": txpool.inspect,
    **_under_both_names(
        {
            "mine": development.mine_many,
            "getAutomine": development.get_automine,
            "setBalance": development.set_balance,
            "setNonce": development.set_nonce,
            "setCode": development.set_code,
            "setStorageAt": development.set_storage_at,
            "impersonateAccount": development.impersonate,
            "stopImpersonatingAccount": development.stop_impersonating,
            "autoImpersonateAccount": development.impersonate_everybody,
            "dropTransaction": development.drop_transaction,
            "dropAllTransactions": development.drop_all_transactions,
            "setBlockTimestampInterval": development.set_timestamp_interval,
            "removeBlockTimestampInterval": development.remove_timestamp_interval,
            "nodeInfo": development.node_info,
            "reset": development.reset,
            "dumpState": development.dump_state,
            "loadState": development.load_state,
            # anvil has these under its own prefix too
            "snapshot": development.snapshot,
            "revert": development.revert,
            "increaseTime": development.increase_time,
            "setTime": development.set_time,
            "setNextBlockTimestamp": development.set_next_block_timestamp,
            "setAutomine": development.set_automine,
            "setIntervalMining": development.set_interval_mining,
        }
    ),
    "foretell_why": inference.why,
    "foretell_pool": inference.pool,
    "foretell_receipt": inference.receipt,
    "foretell_dissents": inference.dissents,
    "foretell_chain": inference.describe_chain,
    "foretell_sidecar": inference.sidecar,
}


class Dispatcher:
    """Answers JSON-RPC requests of one chain; all its copies share its filters.

    Args:
        chain: the chain.
        methods: of this door alone; they do not take the chain.
    """

    def __init__(self, chain: ForetellChain, methods: Mapping[str, Method] | None = None) -> None:
        self._chain = chain
        self._own_methods = _filter_methods(chain) if methods is None else methods

    def with_methods(self, methods: Mapping[str, Method]) -> "Dispatcher":
        """A dispatcher that knows further methods."""
        return Dispatcher(self._chain, {**self._own_methods, **methods})

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of a method.

        Raises:
            RpcError: with the code and data that a client gets.
        """
        function, arguments = self._find(method, params)
        if self._chain.follower is not None:
            refuse_changes(self._chain.follower, method)
        try:
            return function(*arguments)
        except RpcError:
            raise
        except EvmError as error:
            # No data: clients take an error that has some for a revert.
            raise RpcError(SERVER_ERROR, str(error)) from error

    def _find(self, method: str, params: Sequence[Any]) -> tuple[Method, Sequence[Any]]:
        if method in self._own_methods:
            function, arguments = self._own_methods[method], list(params)
        elif method in METHODS:
            function, arguments = METHODS[method], [self._chain, *params]
        else:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist")
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise RpcError(INVALID_PARAMS, f"{method}: {error}") from None
        return function, arguments

    def respond(self, request: Any) -> Json | list[Json] | None:
        """The response to a request or a batch; ``None`` for notifications alone. Never raises."""
        if isinstance(request, list):
            if not 0 < len(request) <= MAX_BATCH:
                return _error(
                    None, INVALID_REQUEST, f"a batch has 1 to {MAX_BATCH} requests, not {len(request)}"
                )
            answers = [answer for each in request if (answer := self._respond_one(each)) is not None]
            return answers or None
        return self._respond_one(request)

    def _respond_one(self, request: Any) -> Json | None:
        if not isinstance(request, Mapping) or not isinstance(request.get("method"), str):
            return _error(None, INVALID_REQUEST, "not a JSON-RPC request")
        params = request.get("params") or []
        identifier = request.get("id")
        if not isinstance(params, list | tuple):
            return _error(identifier, INVALID_PARAMS, "params must be an array")
        answer = self._answer(request["method"], params, identifier)
        return answer if "id" in request else None

    def _answer(self, method: str, params: Sequence[Any], identifier: Any) -> Json:
        try:
            return {"jsonrpc": "2.0", "id": identifier, "result": self.call(method, params)}
        except RpcError as error:
            return _error(identifier, error.rpc_code, str(error), error.data)
        except Exception as error:  # a client must get an answer; the log gets the traceback
            log.exception("rpc_failed", method=method)
            return _error(identifier, INTERNAL_ERROR, f"internal error: {type(error).__name__}: {error}")


def _filter_methods(chain: ForetellChain) -> dict[str, Method]:
    filters = Filters(chain)
    return {
        "eth_newBlockFilter": filters.new_block_filter,
        "eth_newPendingTransactionFilter": filters.new_pending_filter,
        "eth_newFilter": filters.new_log_filter,
        "eth_getFilterChanges": filters.changes,
        "eth_getFilterLogs": filters.logs,
        "eth_uninstallFilter": filters.uninstall,
    }


def _error(identifier: Any, code: int, message: str, data: Any = None) -> Json:
    error: Json = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identifier, "error": error}


PARSE_FAILED: Final = _error(None, PARSE_ERROR, "parse error")
"""The answer to what is no JSON."""
