"""JSON-RPC methods that run messages, sign, and take transactions."""

from collections.abc import Mapping
from typing import Any

from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from pydantic_core import from_json

from foretell_evm.blobs import without_blobs
from foretell_evm.chain import ForetellChain
from foretell_evm.errors import RpcError
from foretell_evm.execution import require_success
from foretell_evm.rpc.codec import INVALID_PARAMS, data, parse_address, parse_data, parse_fields, quantity
from foretell_evm.rpc.messages import parse_call
from foretell_evm.rpc.overrides import parse_overrides
from foretell_evm.rpc.selectors import require_block
from foretell_evm.rpc.transactions import complete, find_key, key_of
from foretell_evm.rpc.transactions import sign as sign_filled


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
    computation = chain.calls.call(parsed, require_block(chain, block), pending=block == "pending")
    return data(require_success(computation))


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


def send_raw_transaction(chain: ForetellChain, raw: Any) -> str:
    """``eth_sendRawTransaction``; blob transactions in their network form."""
    if chain.follower is not None:
        return chain.follower.forward(raw)
    return data(chain.send(chain.decode_transaction(without_blobs(parse_data(raw, "transaction")))))


def send_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_sendTransaction`` of a development account, or of an impersonated one."""
    fields, sender = _sender_of(message)
    key = find_key(chain, sender)
    if key is None and not chain.impersonation.covers(sender):
        raise RpcError(
            INVALID_PARAMS,
            f"from: {data(sender)} is no account of this node; anvil_impersonateAccount takes any",
        )
    return _send(chain, fields, sender, key)


def send_unsigned_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_sendUnsignedTransaction``: of any account, without its signature."""
    fields, sender = _sender_of(message)
    return _send(chain, fields, sender, None)


def sign_transaction(chain: ForetellChain, message: Any) -> str:
    """``eth_signTransaction``: the raw transaction, a blob transaction without its blobs."""
    fields, sender = _sender_of(message)
    key = key_of(chain, sender)
    return data(sign_filled(chain, complete(chain, fields, sender), key).encode())


def _sender_of(message: Any) -> tuple[Mapping[str, Any], Address]:
    fields = parse_fields(message, "transaction")
    return fields, parse_address(fields.get("from"), "from")


def _send(chain: ForetellChain, fields: Mapping[str, Any], sender: Address, key: PrivateKey | None) -> str:
    # Outside the lock: this may wait for an inference, and nothing else waits with it.
    completed = complete(chain, fields, sender)
    with chain.lock:
        return data(chain.send(sign_filled(chain, completed, key)))


def sign(chain: ForetellChain, address: Any, message: Any) -> str:
    """``eth_sign``: a development account's EIP-191 signature."""
    from eth_account import Account
    from eth_account.messages import encode_defunct

    key = key_of(chain, parse_address(address))
    signed = Account.sign_message(encode_defunct(parse_data(message)), key.to_bytes())
    return data(signed.signature)


def personal_sign(chain: ForetellChain, message: Any, address: Any, password: Any = None) -> str:
    """``personal_sign``: ``eth_sign`` with its arguments the other way round; keys have no passwords here."""
    del password
    return sign(chain, address, message)


def sign_typed_data(chain: ForetellChain, address: Any, message: Any) -> str:
    """``eth_signTypedData_v4``: a development account's EIP-712 signature; an object, or its JSON text."""
    from eth_account import Account

    key = key_of(chain, parse_address(address))
    try:
        value = from_json(message) if isinstance(message, str) else message
        signed = Account.sign_typed_data(key.to_bytes(), full_message=dict(value))
    except Exception as error:  # noqa: BLE001 - eth-account raises many classes for malformed typed data
        raise RpcError(INVALID_PARAMS, f"not EIP-712 typed data: {error}") from None
    return data(signed.signature)
