"""geth's ``prestateTracer``: every account that an execution touched, before it or before and after."""

from typing import Any

from eth.abc import StateAPI
from eth_typing import Address
from eth_utils import to_checksum_address

from foretell_evm.rpc.codec import Json, data, quantity, word
from foretell_evm.tracing import Traced, Watch

_Account = dict[str, Any]
_Accounts = dict[str, _Account]


def prestate(traced: Traced, watch: Watch, *, diff: bool) -> Json:
    """What the touched accounts were; with ``diff``, ``pre`` and ``post`` of what changed."""
    after: _Accounts = traced.after(lambda state: _accounts(state, watch))
    before: _Accounts = traced.before(lambda state: _accounts(state, watch))
    if not diff:
        return before
    changed = [address for address in before if before[address] != after[address]]
    return {
        "pre": {each: before[each] for each in changed if _exists(before[each])},
        "post": {each: _changes(before[each], after[each]) for each in changed if _exists(after[each])},
    }


def _accounts(state: StateAPI, watch: Watch) -> _Accounts:
    touched = {**watch.touched, state.coinbase: watch.touched.get(state.coinbase, set())}
    return {
        to_checksum_address(address): _account(state, address, slots) for address, slots in touched.items()
    }


def _account(state: StateAPI, address: Address, slots: set[int]) -> _Account:
    account: _Account = {"balance": quantity(state.get_balance(address))}
    nonce, code = state.get_nonce(address), state.get_code(address)
    if nonce:
        account["nonce"] = nonce
    if code:
        account["code"] = data(code)
    if slots:
        account["storage"] = {word(slot): word(state.get_storage(address, slot)) for slot in sorted(slots)}
    return account


def _exists(account: _Account) -> bool:
    return account["balance"] != "0x0" or bool(account.keys() - {"balance", "storage"})


def _changes(before: _Account, after: _Account) -> _Account:
    changes = {name: after[name] for name in after if name != "storage" and after[name] != before.get(name)}
    slots = after.get("storage", {})
    changed = {slot: slots[slot] for slot in slots if slots[slot] != before.get("storage", {}).get(slot)}
    return {**changes, "storage": changed} if changed else changes
