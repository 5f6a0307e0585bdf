"""Reading the state and block overrides of ``eth_call`` and its kin, named as geth names them."""

from collections.abc import Mapping
from typing import Any, Final

from foretell_evm.errors import RpcError
from foretell_evm.overrides import AccountOverride, BlockOverride, Overrides
from foretell_evm.rpc.codec import INVALID_PARAMS, parse_address, parse_data, parse_fields, parse_quantity

MAX_ACCOUNTS: Final = 1024
_ACCOUNT_FIELDS: Final = frozenset({"balance", "nonce", "code", "state", "stateDiff"})
_BLOCK_FIELDS: Final = {
    "number": "block_number",
    "blockNumber": "block_number",
    "time": "timestamp",
    "timestamp": "timestamp",
    "gasLimit": "gas_limit",
}
"""Quantities, under geth's name and under the header's."""
_BASE_FEE: Final = {"baseFee": "base_fee_per_gas", "baseFeePerGas": "base_fee_per_gas"}


def parse_overrides(accounts: Any, block: Any, *, may_set_base_fee: bool = False) -> Overrides:
    """Read both override objects; either may be ``None``.

    Raises:
        RpcError: a field is unknown or malformed.
    """
    given = parse_fields(accounts or {}, "state overrides")
    if len(given) > MAX_ACCOUNTS:
        raise RpcError(INVALID_PARAMS, f"state overrides: at most {MAX_ACCOUNTS} accounts")
    return Overrides(
        {parse_address(address): _account(value) for address, value in given.items()},
        _block(block or {}, _BLOCK_FIELDS | (_BASE_FEE if may_set_base_fee else {})),
    )


def _account(value: Any) -> AccountOverride:
    fields = parse_fields(value, "state override")
    _require_known(fields, _ACCOUNT_FIELDS, "state override")
    if "state" in fields and "stateDiff" in fields:
        raise RpcError(INVALID_PARAMS, "state override: give state or stateDiff, not both")
    return AccountOverride(
        balance=None if fields.get("balance") is None else parse_quantity(fields["balance"], "balance"),
        nonce=_uint64(fields, "nonce"),
        code=None if fields.get("code") is None else parse_data(fields["code"], "code"),
        storage=None if fields.get("state") is None else _slots(fields["state"], "state"),
        storage_diff=_slots(fields.get("stateDiff") or {}, "stateDiff"),
    )


def _slots(value: Any, name: str) -> dict[int, int]:
    fields = parse_fields(value, name)
    return {parse_quantity(slot, name): parse_quantity(stored, name) for slot, stored in fields.items()}


def _block(value: Any, quantities: Mapping[str, str]) -> BlockOverride:
    fields = parse_fields(value, "block overrides")
    known = quantities.keys() | {"coinbase", "feeRecipient", "random", "prevRandao"}
    _require_known(fields, known, "block overrides")
    changes: dict[str, Any] = {
        name: _uint64(fields, given) for given, name in quantities.items() if given in fields
    }
    for name in ("coinbase", "feeRecipient"):
        if fields.get(name) is not None:
            changes["coinbase"] = parse_address(fields[name], name)
    for name in ("random", "prevRandao"):
        if fields.get(name) is not None:
            changes["mix_hash"] = parse_data(fields[name], name, 32)
    return BlockOverride(**changes)


def _require_known(fields: Mapping[str, Any], known: Any, name: str) -> None:
    unknown = sorted(fields.keys() - known)
    if unknown:
        raise RpcError(
            INVALID_PARAMS, f"{name}: {unknown[0]} is not served; known are {', '.join(sorted(known))}"
        )


def _uint64(fields: Mapping[str, Any], name: str) -> int | None:
    if fields.get(name) is None:
        return None
    number = parse_quantity(fields[name], name)
    if number >= 2**64:
        raise RpcError(INVALID_PARAMS, f"{name}: {number} is too large")
    return number
