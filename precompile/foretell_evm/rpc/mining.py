"""Development methods: snapshots, dumps, mining, time, and what the next block is to be."""

from typing import Any, Final

from foretell_evm.blocks import BlockRecord
from foretell_evm.chain import ForetellChain
from foretell_evm.config import MIN_GAS_LIMIT, Mining
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
from foretell_evm.rpc.views import block_json

MAX_BLOCKS_AT_ONCE: Final = 100_000
MAX_DETAILED_BLOCKS: Final = 1_000
MAX_INTERVAL_S: Final = 365 * 86_400
MAX_UINT64: Final = 2**64 - 1


# -- snapshots and dumps


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


# -- mining


def mine(chain: ForetellChain, options: Any = None) -> str:
    """``evm_mine``; takes a time, or an object ``{timestamp, blocks}`` as anvil does."""
    _mine(chain, options, MAX_BLOCKS_AT_ONCE)
    return "0x0"


def mine_detailed(chain: ForetellChain, options: Any = None) -> list[Json]:
    """``evm_mine_detailed``: the new blocks with their transactions."""
    with chain.lock:
        before = chain.head.number
        last = _mine(chain, options, MAX_DETAILED_BLOCKS)
        return [block_json(record, full=True) for record in chain.history.blocks(before + 1, last.number)]


def _mine(chain: ForetellChain, options: Any, at_most: int) -> BlockRecord:
    blocks, timestamp = 1, options
    if isinstance(options, dict):
        blocks, timestamp = parse_quantity(options.get("blocks") or 1, "blocks"), options.get("timestamp")
    _require_few(blocks, at_most)
    if timestamp is not None:
        chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))
    return chain.mine(blocks)


def mine_many(chain: ForetellChain, count: Any = None, interval: Any = None) -> None:
    """``anvil_mine``: blocks, and the seconds between them."""
    blocks = 1 if count is None else parse_quantity(count, "blocks")
    _require_few(blocks, MAX_BLOCKS_AT_ONCE)
    chain.mine(blocks, _seconds(interval or 0))


def _require_few(count: int, at_most: int) -> None:
    if count > at_most:
        raise RpcError(INVALID_PARAMS, f"blocks: at most {at_most} at once")


def set_automine(chain: ForetellChain, enabled: Any) -> None:
    """``evm_setAutomine``"""
    chain.set_automine(parse_flag(enabled, "enabled"))


def get_automine(chain: ForetellChain) -> bool:
    """``anvil_getAutomine``"""
    return chain.mining is Mining.AUTO


def set_interval_mining(chain: ForetellChain, seconds: Any) -> None:
    """``evm_setIntervalMining``, in seconds as anvil takes it."""
    chain.set_interval(_seconds(seconds))


def get_interval_mining(chain: ForetellChain) -> float | None:
    """``anvil_getIntervalMining``: seconds, or nothing under another mode."""
    seconds = chain.block_time
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _seconds(value: Any) -> int:
    seconds = parse_quantity(value, "seconds")
    if seconds > MAX_INTERVAL_S:
        raise RpcError(INVALID_PARAMS, f"seconds: at most {MAX_INTERVAL_S}")
    return seconds


# -- time


def increase_time(chain: ForetellChain, seconds: Any) -> int:
    """``evm_increaseTime``"""
    forward = parse_quantity(seconds, "seconds")
    with chain.lock:
        if chain.pending_header().timestamp + forward > MAX_UINT64:
            raise RpcError(INVALID_PARAMS, f"seconds: no block has a time after {MAX_UINT64}")
        return chain.increase_time(forward)


def set_next_block_timestamp(chain: ForetellChain, timestamp: Any) -> None:
    """``evm_setNextBlockTimestamp``"""
    chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))


def set_time(chain: ForetellChain, timestamp: Any) -> int:
    """``evm_setTime``: the clock goes on from there; how far ahead of the machine it is then, in seconds."""
    chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))
    return chain.increase_time(0)


def set_timestamp_interval(chain: ForetellChain, seconds: Any) -> None:
    """``anvil_setBlockTimestampInterval``"""
    chain.set_interval_of_timestamps(max(1, _seconds(seconds)))


def remove_timestamp_interval(chain: ForetellChain) -> bool:
    """``anvil_removeBlockTimestampInterval``"""
    chain.set_interval_of_timestamps(None)
    return True


def genesis_time(chain: ForetellChain) -> int:
    """``anvil_getGenesisTime``"""
    return int(chain.history.block(0).header.timestamp)


# -- the next block


def set_next_base_fee(chain: ForetellChain, fee: Any) -> None:
    """``anvil_setNextBlockBaseFeePerGas``: in wei; blocks after it follow from it by EIP-1559."""
    wei = parse_quantity(fee, "base fee")
    if wei > MAX_UINT64:
        raise RpcError(INVALID_PARAMS, f"base fee: at most {MAX_UINT64} wei")
    with chain.lock:
        chain.departures.base_fee = wei


def set_gas_limit(chain: ForetellChain, limit: Any) -> bool:
    """``evm_setBlockGasLimit``: of the next block and those after it."""
    gas = parse_quantity(limit, "gas limit")
    if not MIN_GAS_LIMIT <= gas <= MAX_UINT64:
        raise RpcError(INVALID_PARAMS, f"gas limit: {MIN_GAS_LIMIT} to {MAX_UINT64}")
    with chain.lock:
        chain.departures.gas_limit = gas
    return True


def set_coinbase(chain: ForetellChain, address: Any) -> None:
    """``anvil_setCoinbase``: who gets the tips from now on."""
    beneficiary = parse_address(address)
    with chain.lock:
        chain.departures.coinbase = beneficiary


def set_prevrandao(chain: ForetellChain, value: Any) -> None:
    """``hardhat_setPrevRandao``: of the next block; a number, or up to 32 bytes."""
    number = parse_quantity(value, "prevrandao")
    with chain.lock:
        chain.departures.mix_hash = number.to_bytes(32, "big")


def set_min_gas_price(chain: ForetellChain, price: Any) -> None:
    """``anvil_setMinGasPrice``, which anvil too refuses where there is a base fee."""
    del chain, price
    raise RpcError(INVALID_PARAMS, "a minimal gas price is not supported: EIP-1559 is active")
