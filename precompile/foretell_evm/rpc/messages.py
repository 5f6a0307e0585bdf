"""Reading call and transaction objects: recipient, calldata, access list, authorizations, blobs."""

from collections.abc import Mapping
from typing import Any, Final

from eth.vm.forks.prague.transactions import Authorization
from eth_typing import Address

from foretell_evm.blobs import MAX_BLOBS
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.execution import AccessList, Call
from foretell_evm.overrides import NO_OVERRIDES, Overrides
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    parse_address,
    parse_data,
    parse_fields,
    parse_list,
    parse_quantity,
)

_UINT64: Final = 2**64
_UINT8: Final = 2**8
NOBODY: Final = Address(b"\0" * 20)


def parse_call(chain: ForetellChain, message: Any, overrides: Overrides = NO_OVERRIDES) -> Call:
    """Read a call object; the block's gas limit and the zero address where gas and sender are not given."""
    fields = parse_fields(message, "call")
    limit = chain.gas_limit
    gas = limit if fields.get("gas") is None else min(parse_quantity(fields["gas"], "gas"), limit)
    sender = fields.get("from")
    return Call(
        sender=NOBODY if sender is None else parse_address(sender, "from"),
        to=parse_to(fields),
        data=parse_input(fields),
        value=parse_quantity(fields.get("value") or 0, "value"),
        gas=gas,
        access_list=parse_access_list(fields),
        authorizations=parse_authorizations(fields),
        blob_hashes=parse_blob_hashes(fields),
        overrides=overrides,
    )


def parse_to(fields: Mapping[str, Any]) -> bytes:
    """Recipient of a message; empty where it creates a contract."""
    to = fields.get("to")
    return b"" if to in (None, "", "0x") else parse_address(to, "to")


def parse_input(fields: Mapping[str, Any]) -> bytes:
    """Calldata under either of its two names."""
    value = fields.get("input")
    if value is None:
        value = fields.get("data")
    return b"" if value in (None, "") else parse_data(value, "input")


def parse_access_list(fields: Mapping[str, Any]) -> AccessList:
    """The access list of a call or transaction (EIP-2930); empty where it has none."""
    entries = parse_list(fields.get("accessList") or [], "accessList")
    parsed = (parse_fields(entry, "accessList") for entry in entries)
    return tuple(
        (
            parse_address(entry.get("address")),
            tuple(
                parse_quantity(key, "storageKey")
                for key in parse_list(entry.get("storageKeys"), "storageKeys")
            ),
        )
        for entry in parsed
    )


def parse_authorizations(fields: Mapping[str, Any]) -> tuple[Authorization, ...]:
    """Signed delegations (EIP-7702); empty where there are none."""
    entries = parse_list(fields.get("authorizationList") or [], "authorizationList")
    return tuple(_authorization(parse_fields(entry, "authorization")) for entry in entries)


def _authorization(entry: Mapping[str, Any]) -> Authorization:
    parity = entry.get("yParity")
    return Authorization(
        chain_id=parse_quantity(entry.get("chainId"), "chainId"),
        address=parse_address(entry.get("address")),
        nonce=_below(_UINT64, entry.get("nonce"), "nonce"),
        y_parity=_below(_UINT8, entry.get("v") if parity is None else parity, "yParity"),
        r=parse_quantity(entry.get("r"), "r"),
        s=parse_quantity(entry.get("s"), "s"),
    )


def _below(limit: int, value: Any, name: str) -> int:
    number = parse_quantity(value, name)
    if number >= limit:
        raise RpcError(INVALID_PARAMS, f"{name}: {number} is too large")
    return number


def parse_blob_hashes(fields: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Versioned hashes of blobs (EIP-4844); empty where there are none."""
    hashes = parse_list(fields.get("blobVersionedHashes") or [], "blobVersionedHashes")
    if len(hashes) > MAX_BLOBS:
        raise RpcError(INVALID_PARAMS, f"blobVersionedHashes: at most {MAX_BLOBS}")
    return tuple(parse_data(each, "blobVersionedHash", 32) for each in hashes)
