"""JSON-RPC methods of development chains: time, mining, snapshots, state, impersonation."""

from typing import Any

from foretell_evm.chain import ForetellChain
from foretell_evm.config import GWEI, Mining
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    Json,
    data,
    parse_address,
    parse_data,
    parse_quantity,
    quantity,
)

MAX_BLOCKS_AT_ONCE = 100_000
MAX_INTERVAL_S = 365 * 86_400


def snapshot(chain: ForetellChain) -> str:
    """``evm_snapshot``"""
    return quantity(chain.snapshot())


def revert(chain: ForetellChain, number: Any) -> bool:
    """``evm_revert``"""
    return chain.revert(parse_quantity(number, "snapshot"))


def reset(chain: ForetellChain, options: Any = None) -> bool:
    """``anvil_reset``: back to the node's start; there is nothing to fork from."""
    if isinstance(options, dict) and options.get("forking"):
        raise RpcError(INVALID_PARAMS, "forking: this node forks no other chain")
    chain.reset()
    return True


def dump_state(chain: ForetellChain) -> str:
    """``anvil_dumpState``: all accounts, as anvil's gzipped JSON."""
    return data(chain.dump_state())


def load_state(chain: ForetellChain, state: Any) -> bool:
    """``anvil_loadState``: writes the accounts of a dump into the state."""
    chain.load_state(parse_data(state, "state"))
    return True


def mine(chain: ForetellChain, timestamp: Any = None) -> str:
    """``evm_mine``; takes a time, or an object ``{timestamp, blocks}`` as anvil does."""
    blocks = 1
    if isinstance(timestamp, dict):
        blocks = parse_quantity(timestamp.get("blocks") or 1, "blocks")
        timestamp = timestamp.get("timestamp")
    if timestamp is not None:
        chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))
    chain.mine(_bounded(blocks))
    return "0x0"


def mine_many(chain: ForetellChain, count: Any = 1, interval: Any = 0) -> None:
    """``anvil_mine``"""
    chain.mine(_bounded(parse_quantity(count, "blocks")), parse_quantity(interval or 0, "interval"))


def _bounded(count: int) -> int:
    if count > MAX_BLOCKS_AT_ONCE:
        raise RpcError(INVALID_PARAMS, f"blocks: at most {MAX_BLOCKS_AT_ONCE} at once")
    return count


def increase_time(chain: ForetellChain, seconds: Any) -> int:
    """``evm_increaseTime``"""
    return chain.increase_time(parse_quantity(seconds, "seconds"))


def set_next_block_timestamp(chain: ForetellChain, timestamp: Any) -> None:
    """``evm_setNextBlockTimestamp``"""
    chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))


def set_automine(chain: ForetellChain, enabled: Any) -> None:
    """``evm_setAutomine``"""
    chain.set_automine(bool(enabled))


def get_automine(chain: ForetellChain) -> bool:
    """``anvil_getAutomine``"""
    return chain.mining is Mining.AUTO


def set_interval_mining(chain: ForetellChain, seconds: Any) -> None:
    """``evm_setIntervalMining``, in seconds as anvil takes it."""
    interval = parse_quantity(seconds, "seconds")
    if interval > MAX_INTERVAL_S:
        raise RpcError(INVALID_PARAMS, f"seconds: at most {MAX_INTERVAL_S}")
    chain.set_interval(interval)


def set_balance(chain: ForetellChain, address: Any, balance: Any) -> None:
    """``anvil_setBalance``"""
    account, amount = parse_address(address), parse_quantity(balance, "balance")
    chain.set_state(lambda state: state.set_balance(account, amount))


def set_nonce(chain: ForetellChain, address: Any, nonce: Any) -> None:
    """``anvil_setNonce``"""
    account, number = parse_address(address), parse_quantity(nonce, "nonce")
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


def set_time(chain: ForetellChain, timestamp: Any) -> int:
    """``evm_setTime``: the clock goes on from there; how far ahead of the machine it is then, in seconds."""
    chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))
    return increase_time(chain, 0)


def set_timestamp_interval(chain: ForetellChain, seconds: Any) -> None:
    """``anvil_setBlockTimestampInterval``"""
    chain.set_interval_of_timestamps(max(1, parse_quantity(seconds, "seconds")))


def remove_timestamp_interval(chain: ForetellChain) -> bool:
    """``anvil_removeBlockTimestampInterval``"""
    chain.set_interval_of_timestamps(None)
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
        chain.impersonation.everybody = bool(enabled)


def drop_transaction(chain: ForetellChain, transaction_hash: Any) -> str | None:
    """``anvil_dropTransaction``: the hash, or nothing where no such transaction is pending."""
    wanted = parse_data(transaction_hash, "hash", 32)
    return data(wanted) if chain.drop(wanted) else None


def drop_all_transactions(chain: ForetellChain) -> None:
    """``anvil_dropAllTransactions``"""
    with chain.lock:
        for entry in chain.mempool:
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
