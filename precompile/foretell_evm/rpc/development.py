"""JSON-RPC methods of development chains: time, mining, snapshots, balances."""

from typing import Any

from foretell_evm.chain import ForetellChain
from foretell_evm.config import Mining
from foretell_evm.errors import RpcError
from foretell_evm.rpc.codec import INVALID_PARAMS, parse_address, parse_data, parse_quantity, quantity

MAX_BLOCKS_AT_ONCE = 100_000


def snapshot(chain: ForetellChain) -> str:
    """``evm_snapshot``"""
    return quantity(chain.snapshot())


def revert(chain: ForetellChain, number: Any) -> bool:
    """``evm_revert``"""
    return chain.revert(parse_quantity(number, "snapshot"))


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


def increase_time(chain: ForetellChain, seconds: Any) -> str:
    """``evm_increaseTime``"""
    return quantity(chain.increase_time(parse_quantity(seconds, "seconds")))


def set_next_block_timestamp(chain: ForetellChain, timestamp: Any) -> None:
    """``evm_setNextBlockTimestamp``"""
    chain.set_next_timestamp(parse_quantity(timestamp, "timestamp"))


def set_automine(chain: ForetellChain, enabled: Any) -> bool:
    """``evm_setAutomine``"""
    chain.set_automine(bool(enabled))
    return True


def get_automine(chain: ForetellChain) -> bool:
    """``anvil_getAutomine``"""
    return chain.mining is Mining.AUTO


def set_interval_mining(chain: ForetellChain, seconds: Any) -> bool:
    """``evm_setIntervalMining``, in seconds as anvil takes it."""
    chain.set_interval(parse_quantity(seconds, "seconds"))
    return True


def set_balance(chain: ForetellChain, address: Any, balance: Any) -> bool:
    """``anvil_setBalance``"""
    account, amount = parse_address(address), parse_quantity(balance, "balance")
    chain.set_state(lambda state: state.set_balance(account, amount))
    return True


def set_nonce(chain: ForetellChain, address: Any, nonce: Any) -> bool:
    """``anvil_setNonce``"""
    account, number = parse_address(address), parse_quantity(nonce, "nonce")
    chain.set_state(lambda state: state.set_nonce(account, number))
    return True


def set_code(chain: ForetellChain, address: Any, code: Any) -> bool:
    """``anvil_setCode``"""
    account, deployed = parse_address(address), parse_data(code, "code")
    chain.set_state(lambda state: state.set_code(account, deployed))
    return True


def set_storage_at(chain: ForetellChain, address: Any, slot: Any, value: Any) -> bool:
    """``anvil_setStorageAt``"""
    account, position = parse_address(address), parse_quantity(slot, "slot")
    stored = int.from_bytes(parse_data(value, "value"), "big")
    chain.set_state(lambda state: state.set_storage(account, position, stored))
    return True
