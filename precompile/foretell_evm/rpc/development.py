"""JSON-RPC methods of development chains: state, impersonation, the mempool, and the node itself."""

from importlib.metadata import version
from typing import Any, Final

from foretell_evm.chain import ForetellChain
from foretell_evm.config import GWEI
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_address,
    parse_data,
    parse_flag,
    parse_quantity,
    quantity,
)

MAX_NONCE: Final = 2**64 - 1


def set_balance(chain: ForetellChain, address: Any, balance: Any) -> None:
    """``anvil_setBalance``"""
    account, amount = parse_address(address), parse_quantity(balance, "balance")
    chain.set_state(lambda state: state.set_balance(account, amount))


def add_balance(chain: ForetellChain, address: Any, amount: Any) -> None:
    """``anvil_addBalance``"""
    account, more = parse_address(address), parse_quantity(amount, "amount")
    with chain.lock:
        total = chain.state().get_balance(account) + more
        if total >= 2**256:
            raise RpcError(INVALID_PARAMS, "amount: no account has so much")
        chain.set_state(lambda state: state.set_balance(account, total))


def set_nonce(chain: ForetellChain, address: Any, nonce: Any) -> None:
    """``anvil_setNonce``"""
    account, number = parse_address(address), parse_quantity(nonce, "nonce")
    if number >= MAX_NONCE:
        raise RpcError(INVALID_PARAMS, f"nonce: below {MAX_NONCE} (EIP-2681)")
    chain.set_state(lambda state: state.set_nonce(account, number))


def set_code(chain: ForetellChain, address: Any, code: Any) -> None:
    """``anvil_setCode``"""
    account, deployed = parse_address(address), parse_data(code, "code")
    chain.set_state(lambda state: state.set_code(account, deployed))


def set_storage_at(chain: ForetellChain, address: Any, slot: Any, value: Any) -> bool:
    """``anvil_setStorageAt``"""
    account, position = parse_address(address), parse_quantity(slot, "slot")
    stored = parse_quantity(value, "value")
    chain.set_state(lambda state: state.set_storage(account, position, stored))
    return True


def impersonate(chain: ForetellChain, address: Any) -> None:
    """``anvil_impersonateAccount``"""
    with chain.lock:
        chain.impersonation.start(parse_address(address))


def stop_impersonating(chain: ForetellChain, address: Any) -> None:
    """``anvil_stopImpersonatingAccount``"""
    with chain.lock:
        chain.impersonation.stop(parse_address(address))


def impersonate_everybody(chain: ForetellChain, enabled: Any) -> None:
    """``anvil_autoImpersonateAccount``"""
    with chain.lock:
        chain.impersonation.everybody = parse_flag(enabled, "enabled")


def drop_transaction(chain: ForetellChain, transaction_hash: Any) -> str | None:
    """``anvil_dropTransaction``: the hash, or nothing where no such transaction is pending."""
    wanted = parse_data(transaction_hash, "hash", 32)
    return data(wanted) if chain.drop(wanted) else None


def drop_all_transactions(chain: ForetellChain) -> None:
    """``anvil_dropAllTransactions``"""
    with chain.lock:
        for entry in chain.mempool:
            chain.drop(entry.transaction.hash)


def remove_pool_transactions(chain: ForetellChain, address: Any) -> None:
    """``anvil_removePoolTransactions``: all of a sender's."""
    sender = parse_address(address)
    with chain.lock:
        for entry in chain.mempool:
            if entry.transaction.sender == sender:
                chain.drop(entry.transaction.hash)


def node_info(chain: ForetellChain) -> Json:
    """``anvil_nodeInfo``"""
    header, pending = chain.head.header, chain.pending_header()
    return {
        "currentBlockNumber": quantity(chain.head.number),
        "currentBlockTimestamp": int(header.timestamp),
        "currentBlockHash": data(chain.head.block.hash),
        "hardFork": "prague",
        "transactionOrder": "fees",
        "environment": {
            "baseFee": quantity(pending.base_fee_per_gas or 0),
            "chainId": chain.config.chain_id,
            "gasLimit": quantity(header.gas_limit),
            "gasPrice": quantity((pending.base_fee_per_gas or 0) + GWEI),
        },
        "forkConfig": {"forkUrl": None, "forkBlockNumber": None, "forkRetryBackoff": None},
    }


def metadata(chain: ForetellChain) -> Json:
    """``anvil_metadata``"""
    release = version("ape-foretell")
    return {
        "clientVersion": f"foretell/v{release}",
        "clientSemver": release,
        "chainId": chain.config.chain_id,
        "instanceId": data(chain.instance_id),
        "latestBlockNumber": chain.head.number,
        "latestBlockHash": data(chain.head.block.hash),
        "forkedNetwork": None,
        "snapshots": {},
    }


def set_logging(chain: ForetellChain, enabled: Any) -> None:
    """``anvil_setLoggingEnabled``: checked, and without effect, for the node logs no requests."""
    del chain
    parse_flag(enabled, "enabled")


def set_chain_id(chain: ForetellChain, chain_id: Any) -> None:
    """``anvil_setChainId``, refused: operators sign for one chain.

    Raises:
        RpcError: always, unless it is the chain's own.
    """
    if parse_quantity(chain_id, "chain id") != chain.config.chain_id:
        raise RpcError(INVALID_PARAMS, "the chain id is in all that operators sign: start with --chain-id")


def set_rpc_url(chain: ForetellChain, url: Any) -> None:
    """``anvil_setRpcUrl``, refused: this node forks no other.

    Raises:
        RpcError: always.
    """
    del chain, url
    raise RpcError(INVALID_PARAMS, "this node forks no other, so there is no URL to set")
