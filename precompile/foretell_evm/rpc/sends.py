"""JSON-RPC methods that run messages and take transactions."""

from collections.abc import Mapping
from typing import Any, Final

from eth.abc import SignedTransactionAPI
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils import to_canonical_address
from pydantic_core import from_json

from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.execution import AccessList, Call, require_success
from foretell_evm.impersonation import ImpersonatedTransaction
from foretell_evm.overrides import NO_OVERRIDES, Overrides
from foretell_evm.rpc.codec import (
    INVALID_PARAMS,
    data,
    parse_address,
    parse_data,
    parse_fields,
    parse_list,
    parse_quantity,
    quantity,
)
from foretell_evm.rpc.overrides import parse_overrides
from foretell_evm.rpc.reads import PRIORITY_FEE
from foretell_evm.rpc.selectors import require_block
from foretell_evm.vm import ForetellVM

_SIGNED_BY_CLIENTS: Final = (
    "authorizationList", "blobs", "blobVersionedHashes", "maxFeePerBlobGas", "commitments", "proofs",
)  # fmt: skip
"""Fields of transactions with delegations (EIP-7702) and blobs (EIP-4844), which the node does not sign."""


def call(
    chain: ForetellChain,
    message: Any,
    block: Any = "latest",
    overrides: Any = None,
    block_overrides: Any = None,
) -> str:
    """``eth_call``; inferences are asked for and waited for."""
    pretended = parse_overrides(overrides, block_overrides)
    parsed = parse_call(chain, message, pretended)
    outcome = chain.calls.call(parsed, require_block(chain, block), pending=block == "pending")
    return data(require_success(outcome.computation))


def estimate_gas(
    chain: ForetellChain,
    message: Any,
    block: Any = "latest",
    overrides: Any = None,
    block_overrides: Any = None,
) -> str:
    """``eth_estimateGas``, in the next block whatever block is named."""
    require_block(chain, block)
    pretended = parse_overrides(overrides, block_overrides)
    return quantity(chain.calls.estimate_gas(parse_call(chain, message, pretended)))


def parse_call(chain: ForetellChain, message: Any, overrides: Overrides = NO_OVERRIDES) -> Call:
    """Read a call object; the block's gas limit and the zero address where gas and sender are not given."""
    fields = parse_fields(message, "call")
    limit = chain.head.header.gas_limit
    gas = limit if fields.get("gas") is None else min(parse_quantity(fields["gas"], "gas"), limit)
    sender = fields.get("from")
    return Call(
        sender=Address(b"\0" * 20) if sender is None else parse_address(sender, "from"),
        to=parse_to(fields),
        data=parse_input(fields),
        value=parse_quantity(fields.get("value") or 0, "value"),
        gas=gas,
        access_list=parse_access_list(fields),
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


def send_raw_transaction(chain: ForetellChain, raw: Any) -> str:
    """``eth_sendRawTransaction``"""
    if chain.follower is not None:
        return chain.follower.forward(raw)
    return data(chain.send(chain.decode_transaction(parse_data(raw, "transaction"))))


def send_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_sendTransaction`` of a development account, or of an impersonated one."""
    fields = parse_fields(message, "transaction")
    sender = parse_address(fields.get("from"), "from")
    with chain.lock:
        key = _find_key(chain, sender)
        if key is None and not chain.impersonation.covers(sender):
            raise RpcError(
                INVALID_PARAMS,
                f"from: {data(sender)} is no account of this node; anvil_impersonateAccount takes any",
            )
        transaction = _fill(chain, fields, sender, key)
    return data(chain.send(transaction))


def send_unsigned_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_sendUnsignedTransaction``: of any account, without its signature."""
    fields = parse_fields(message, "transaction")
    with chain.lock:
        transaction = _fill(chain, fields, parse_address(fields.get("from"), "from"), None)
    return data(chain.send(transaction))


def sign_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_signTransaction``: the raw transaction."""
    fields = parse_fields(message, "transaction")
    sender = parse_address(fields.get("from"), "from")
    with chain.lock:
        return data(_fill(chain, fields, sender, _key_of(chain, sender)).encode())


def _find_key(chain: ForetellChain, sender: Address) -> PrivateKey | None:
    for account in chain.accounts:
        if to_canonical_address(account.address) == sender:
            return account.key
    return None


def _key_of(chain: ForetellChain, sender: Address) -> PrivateKey:
    key = _find_key(chain, sender)
    if key is None:
        raise RpcError(INVALID_PARAMS, f"from: {data(sender)} is no account of this node")
    return key


def _fill(
    chain: ForetellChain, fields: Mapping[str, Any], sender: Address, key: PrivateKey | None
) -> SignedTransactionAPI:
    """The transaction with what is not given filled in, signed; impersonated where there is no key."""
    _require_served(chain, fields)
    given_nonce, given_gas = fields.get("nonce"), fields.get("gas")
    message: dict[str, Any] = {
        "nonce": chain.next_nonce(sender) if given_nonce is None else parse_quantity(given_nonce, "nonce"),
        "gas": chain.calls.estimate_gas(parse_call(chain, fields))
        if given_gas is None
        else parse_quantity(given_gas, "gas"),
        "to": parse_to(fields),
        "value": parse_quantity(fields.get("value") or 0, "value"),
        "data": parse_input(fields),
    }
    builder: Any = ForetellVM.get_transaction_builder()
    access_list = parse_access_list(fields)
    if key is not None and fields.get("gasPrice") is not None:
        message["gas_price"] = parse_quantity(fields["gasPrice"], "gasPrice")
        if access_list:
            listed = builder.new_unsigned_access_list_transaction(
                chain_id=chain.config.chain_id, access_list=access_list, **message
            )
            return chain.decode_transaction(listed.as_signed_transaction(key).encode())
        legacy = builder.create_unsigned_transaction(**message)
        signed = legacy.as_signed_transaction(key, chain_id=chain.config.chain_id)
        return chain.decode_transaction(signed.encode())
    tip, fee = _fees(chain, fields)
    unsigned = builder.new_unsigned_dynamic_fee_transaction(
        chain_id=chain.config.chain_id,
        max_priority_fee_per_gas=tip,
        max_fee_per_gas=fee,
        access_list=access_list,
        **message,
    )
    if key is None:
        return ImpersonatedTransaction.forge(sender, unsigned)
    # py-evm signs into an older fork's class; blocks hold this fork's.
    return chain.decode_transaction(unsigned.as_signed_transaction(key).encode())


def _require_served(chain: ForetellChain, fields: Mapping[str, Any]) -> None:
    """Refuse what would be left out of the transaction without a word."""
    for name in _SIGNED_BY_CLIENTS:
        if fields.get(name):
            raise RpcError(
                INVALID_PARAMS, f"{name}: sign the transaction, and send it with eth_sendRawTransaction"
            )
    given = fields.get("chainId")
    if given is not None and parse_quantity(given, "chainId") != chain.config.chain_id:
        raise RpcError(INVALID_PARAMS, f"chainId: {given} is not {chain.config.chain_id}")


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


def sign(chain: ForetellChain, address: Any, message: Any) -> str:
    """``eth_sign``: a development account's EIP-191 signature."""
    from eth_account import Account
    from eth_account.messages import encode_defunct

    key = _key_of(chain, parse_address(address))
    signed = Account.sign_message(encode_defunct(parse_data(message)), key.to_bytes())
    return data(signed.signature)


def personal_sign(chain: ForetellChain, message: Any, address: Any, password: Any = None) -> str:
    """``personal_sign``: ``eth_sign`` with its arguments the other way round; keys have no passwords here."""
    del password
    return sign(chain, address, message)


def sign_typed_data(chain: ForetellChain, address: Any, message: Any) -> str:
    """``eth_signTypedData_v4``: a development account's EIP-712 signature; an object, or its JSON text."""
    from eth_account import Account

    key = _key_of(chain, parse_address(address))
    try:
        value = from_json(message) if isinstance(message, str) else message
        signed = Account.sign_typed_data(key.to_bytes(), full_message=dict(value))
    except Exception as error:  # noqa: BLE001 - eth-account raises many classes for malformed typed data
        raise RpcError(INVALID_PARAMS, f"not EIP-712 typed data: {error}") from None
    return data(signed.signature)
