"""Failures in words: revert data as ``ape.reverts`` compares it, and why the chain did not run something."""

from typing import Final

from ape.exceptions import TransactionError
from eth_abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak
from web3.exceptions import Web3RPCError

from foretell_evm.errors import InferenceUnavailable
from foretell_spec.reasons import EXPLANATIONS, Reason, reason_of

_ERROR_STRING: Final = keccak(text="Error(string)")[:4]


def inference_message(reason: Reason) -> str:
    """What a contract's caller reads of a refusal of the precompile."""
    return f"inference: {EXPLANATIONS[reason]}"


def revert_message(data: bytes) -> str:
    """The reason in revert data: a contract's string, the precompile's refusal in words, Ape's default where
    there is none, and hexadecimal for an error that only a contract's ABI can name.
    """
    reason = reason_of(data)
    if reason is not None:
        return inference_message(reason)
    if data[:4] == _ERROR_STRING:
        try:
            message: str = decode(["string"], data[4:])[0]
        except (DecodingError, UnicodeDecodeError):
            return "0x" + data.hex()
        return message
    return "0x" + data.hex() if data else TransactionError.DEFAULT_MESSAGE


def failure_message(failure: BaseException) -> str:
    """Why the chain did not run something: the inference that is missing, or what its answer says."""
    if isinstance(failure, InferenceUnavailable):
        return inference_message(failure.reason)
    if isinstance(failure, Web3RPCError) and failure.rpc_response is not None:
        return _rpc_message(failure.rpc_response["error"]["message"])
    return _rpc_message(str(failure))


def _rpc_message(message: str) -> str:
    """JSON-RPC says a missing inference as ``InferenceUnavailable`` does: the reason's name comes first."""
    reason = message.partition(":")[0]
    return inference_message(Reason[reason]) if reason in Reason.__members__ else message
