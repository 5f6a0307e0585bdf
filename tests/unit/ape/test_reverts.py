"""Revert data and refusals in words."""

import pytest
from ape.exceptions import ProviderError, TransactionError
from eth_abi import encode
from eth_utils import keccak
from web3.exceptions import Web3RPCError

from ape_foretell.reverts import failure_message, revert_message
from foretell_evm.errors import InferenceUnavailable, RpcError
from foretell_spec.reasons import EXPLANATIONS, Reason, revert_data

ERROR_STRING = keccak(text="Error(string)")[:4]
NO_OPERATOR = "inference: no bonded operator serves this model"


def test_revert_message__string__is_itself() -> None:
    assert revert_message(ERROR_STRING + encode(["string"], ["pool: empty"])) == "pool: empty"


@pytest.mark.parametrize("reason", Reason)
def test_revert_message__of_the_precompile__is_its_explanation(reason: Reason) -> None:
    assert revert_message(revert_data(reason)) == f"inference: {EXPLANATIONS[reason]}"


def test_revert_message__nothing__is_apes_default() -> None:
    assert revert_message(b"") == TransactionError.DEFAULT_MESSAGE


def test_revert_message__custom_error__is_hexadecimal_for_the_abi_to_name() -> None:
    assert revert_message(b"\x12\x34\x56\x78") == "0x12345678"


@pytest.mark.parametrize("body", [b"", b"\xff" * 96, encode(["bytes"], [b"\xff\xfe"])])
def test_revert_message__broken_string__is_hexadecimal(body: bytes) -> None:
    assert revert_message(ERROR_STRING + body) == "0x" + (ERROR_STRING + body).hex()


MISSING = InferenceUnavailable(Reason.NO_OPERATOR, "none is bonded")


def rpc_error(message: str) -> Web3RPCError:
    response = {"error": {"code": -32000, "message": message}}
    return Web3RPCError(str(response), rpc_response=response)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "failure", [MISSING, RpcError(-32000, str(MISSING)), ProviderError(str(MISSING)), rpc_error(str(MISSING))]
)
def test_failure_message__missing_inference__is_its_explanation(failure: Exception) -> None:
    assert failure_message(failure) == NO_OPERATOR


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (ValueError("plain"), "plain"),
        (RpcError(-32000, "nonce too low: next nonce 1"), "nonce too low: next nonce 1"),
        (rpc_error("nonce too low"), "nonce too low"),
        (Web3RPCError("no response"), "no response"),
    ],
)
def test_failure_message__anything_else__is_its_own(failure: Exception, message: str) -> None:
    assert failure_message(failure) == message
