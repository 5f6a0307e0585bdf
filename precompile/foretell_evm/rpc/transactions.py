"""Transaction objects that name no signature: filled in, and signed by one of the node's accounts."""

from collections.abc import Mapping
from typing import Any, Final

from eth.abc import SignedTransactionAPI
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils import to_canonical_address

from foretell_evm.blobs import BLOB_TYPE, BlobSidecar, blob_base_fee
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError, TransactionRejected
from foretell_evm.impersonation import ImpersonatedTransaction
from foretell_evm.rpc.codec import INVALID_PARAMS, data, parse_address, parse_data, parse_list, parse_quantity
from foretell_evm.rpc.messages import (
    parse_access_list,
    parse_authorizations,
    parse_blob_hashes,
    parse_call,
    parse_input,
    parse_to,
)
from foretell_evm.rpc.reads import PRIORITY_FEE
from foretell_evm.vm import ForetellVM

LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE = 0, 1, 2, 4
_BLOB_FIELDS: Final = ("blobs", "commitments", "proofs", "blobVersionedHashes", "maxFeePerBlobGas")
_ABSENT_FROM: Final[dict[str, tuple[int, ...]]] = {
    "accessList": (LEGACY,),
    "maxFeePerGas": (LEGACY, ACCESS_LIST),
    "maxPriorityFeePerGas": (LEGACY, ACCESS_LIST),
    "authorizationList": (LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB_TYPE),
    **dict.fromkeys(_BLOB_FIELDS, (LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE)),
}
"""In which types of transaction a field has no place."""


def find_key(chain: ForetellChain, sender: Address) -> PrivateKey | None:
    """The key of a development account; ``None`` where the address is none."""
    for account in chain.accounts:
        if to_canonical_address(account.address) == sender:
            return account.key
    return None


def key_of(chain: ForetellChain, sender: Address) -> PrivateKey:
    """The key of a development account.

    Raises:
        RpcError: the address is none.
    """
    key = find_key(chain, sender)
    if key is None:
        raise RpcError(INVALID_PARAMS, f"from: {data(sender)} is no account of this node")
    return key


def complete(chain: ForetellChain, fields: Mapping[str, Any], sender: Address) -> Mapping[str, Any]:
    """The fields with type, gas and hashes of blobs filled in; this may wait for an inference.

    Raises:
        RpcError: a field is malformed, has no place in a transaction of this type, or the message fails.
        InferenceUnavailable: an inference did not come in time.
    """
    kind = _kind(fields)
    _require_chain(chain, fields)
    completed = {**fields, "type": kind, "from": data(sender)}
    if kind == BLOB_TYPE:
        completed |= _blob_hashes(fields)
    if fields.get("gas") is None:
        completed["gas"] = chain.calls.estimate_gas(parse_call(chain, completed))
    return completed


def sign(chain: ForetellChain, fields: Mapping[str, Any], key: PrivateKey | None) -> SignedTransactionAPI:
    """What :func:`complete` gave, with nonce and fees, signed; impersonated where there is no key.

    The caller holds the chain's lock until it has sent the transaction, or the nonce may be another's too.

    Raises:
        RpcError: a field is malformed.
    """
    kind, sender = fields["type"], parse_address(fields["from"], "from")
    # Nobody's transactions are typed ones: a legacy signature has no room for the sender.
    unsigned = _unsigned(chain, fields, sender, kind if key is not None else max(kind, DYNAMIC_FEE))
    if key is None:
        return ImpersonatedTransaction.forge(sender, unsigned)
    signed = unsigned.as_signed_transaction(key, chain_id=chain.config.chain_id)
    # py-evm signs into an older fork's class; blocks hold this fork's.
    return chain.decode_transaction(signed.encode())


def _kind(fields: Mapping[str, Any]) -> int:
    """Type of a transaction: the one that is named, or the least that has room for its fields."""
    if fields.get("type") is not None:
        kind = parse_quantity(fields["type"], "type")
        if kind not in (LEGACY, ACCESS_LIST, DYNAMIC_FEE, BLOB_TYPE, SET_CODE):
            raise RpcError(INVALID_PARAMS, f"type: {kind} is no transaction of Prague")
    elif any(fields.get(name) for name in _BLOB_FIELDS):
        kind = BLOB_TYPE
    elif fields.get("authorizationList"):
        kind = SET_CODE
    elif fields.get("gasPrice") is not None:
        kind = ACCESS_LIST if fields.get("accessList") else LEGACY
    else:
        kind = DYNAMIC_FEE
    for name, kinds in _ABSENT_FROM.items():
        if kind in kinds and fields.get(name):
            raise RpcError(INVALID_PARAMS, f"{name}: has no place in a transaction of type {kind}")
    if kind in (BLOB_TYPE, SET_CODE) and not parse_to(fields):
        raise RpcError(INVALID_PARAMS, f"to: a transaction of type {kind} creates no contract")
    return kind


def _require_chain(chain: ForetellChain, fields: Mapping[str, Any]) -> None:
    given = fields.get("chainId")
    if given is not None and parse_quantity(given, "chainId") != chain.config.chain_id:
        raise RpcError(INVALID_PARAMS, f"chainId: {given} is not {chain.config.chain_id}")


def _unsigned(chain: ForetellChain, fields: Mapping[str, Any], sender: Address, kind: int) -> Any:
    builder: Any = ForetellVM.get_transaction_builder()
    nonce = fields.get("nonce")
    common: dict[str, Any] = {
        "nonce": chain.next_nonce(sender) if nonce is None else parse_quantity(nonce, "nonce"),
        "gas": parse_quantity(fields["gas"], "gas"),
        "to": parse_to(fields),
        "value": parse_quantity(fields.get("value") or 0, "value"),
        "data": parse_input(fields),
    }
    if kind == LEGACY:
        return builder.create_unsigned_transaction(gas_price=_gas_price(chain, fields), **common)
    common |= {"chain_id": chain.config.chain_id, "access_list": parse_access_list(fields)}
    if kind == ACCESS_LIST:
        return builder.new_unsigned_access_list_transaction(gas_price=_gas_price(chain, fields), **common)
    tip, fee = _fees(chain, fields)
    common |= {"max_priority_fee_per_gas": tip, "max_fee_per_gas": fee}
    if kind == DYNAMIC_FEE:
        return builder.new_unsigned_dynamic_fee_transaction(**common)
    if kind == BLOB_TYPE:
        return builder.new_unsigned_blob_transaction(
            max_fee_per_blob_gas=_blob_fee(chain, fields),
            blob_versioned_hashes=parse_blob_hashes(fields),
            **common,
        )
    return builder.new_unsigned_set_code_transaction(
        authorization_list=parse_authorizations(fields), **common
    )


def _blob_hashes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The hashes of blobs that are given, after checking them; proofs are made where none are."""
    blobs, commitments, proofs = (
        tuple(parse_data(each, name) for each in parse_list(fields.get(name) or [], name))
        for name in ("blobs", "commitments", "proofs")
    )
    try:
        sidecar = BlobSidecar(blobs, commitments, proofs) if proofs else BlobSidecar.of(blobs)
        sidecar.check(parse_blob_hashes(fields) or sidecar.versioned_hashes)
    except TransactionRejected as error:
        raise RpcError(INVALID_PARAMS, f"blobs: {error}") from None
    return {"blobVersionedHashes": [data(each) for each in sidecar.versioned_hashes]}


def _gas_price(chain: ForetellChain, fields: Mapping[str, Any]) -> int:
    if fields.get("gasPrice") is not None:
        return parse_quantity(fields["gasPrice"], "gasPrice")
    return (chain.pending_header().base_fee_per_gas or 0) + PRIORITY_FEE


def _blob_fee(chain: ForetellChain, fields: Mapping[str, Any]) -> int:
    given = fields.get("maxFeePerBlobGas")
    return (
        2 * blob_base_fee(chain.pending_header())
        if given is None
        else parse_quantity(given, "maxFeePerBlobGas")
    )


def _fees(chain: ForetellChain, fields: Mapping[str, Any]) -> tuple[int, int]:
    """Tip and highest price in wei; twice the base fee leaves room for six full blocks."""
    if fields.get("gasPrice") is not None:
        price = parse_quantity(fields["gasPrice"], "gasPrice")
        return price, price
    tip = fields.get("maxPriorityFeePerGas")
    fee = fields.get("maxFeePerGas")
    base_fee = chain.pending_header().base_fee_per_gas or 0
    highest = None if fee is None else parse_quantity(fee, "maxFeePerGas")
    wanted_tip = PRIORITY_FEE if tip is None else parse_quantity(tip, "maxPriorityFeePerGas")
    if highest is None:
        return wanted_tip, 2 * base_fee + wanted_tip
    return (min(wanted_tip, highest) if tip is None else wanted_tip), highest
