"""The contracts that every chain of this provider has, as Ape knows contracts."""

from functools import lru_cache
from typing import Any, Final

from eth_typing import ChecksumAddress
from ethpm_types import ContractType

from foretell_contracts import load
from foretell_spec.addresses import (
    CIRCUIT_VERIFIER,
    MODEL_REGISTRY,
    OPERATOR_REGISTRY,
    PRECOMPILE,
    SETTLEMENT,
)

_INFERRED: Final = (
    "bytes32 receipt_id, bytes32 model_id, address operator, int256[] inputs_q, int256[] outputs_q,"
    " uint8 assurance"
)
_RECEIPT: Final = (
    "bytes32 request_id, bytes32 model_id, bytes32 input_hash, bytes32 output_hash, address operator,"
    " uint8 assurance, uint64 block_number"
)


@lru_cache(maxsize=1)
def system_contracts() -> dict[ChecksumAddress, ContractType]:
    """The precompile and the predeployed contracts, by address."""
    predeployed = {
        MODEL_REGISTRY: "ModelRegistry",
        OPERATOR_REGISTRY: "OperatorRegistry",
        SETTLEMENT: "Settlement",
        CIRCUIT_VERIFIER: "CircuitVerifier",
    }
    kinds = {address: _contract_type(name, load(name).abi) for address, name in predeployed.items()}
    return {PRECOMPILE: _contract_type("Inference", _precompile_abi()), **kinds}


def _contract_type(name: str, abi: list[dict[str, Any]]) -> ContractType:
    return ContractType.model_validate({"contractName": name, "abi": abi})


def _precompile_abi() -> list[dict[str, Any]]:
    """``foretell_spec.abi`` in Ethereum's JSON form."""
    indexed = ("receipt_id", "model_id", "operator")
    fields = [{**field, "indexed": field["name"] in indexed} for field in _fields(_INFERRED)]
    question = "bytes32 model_id, int256[] inputs, uint8 min_assurance"
    answer = "int256[] outputs, bytes32 receipt_id"
    return [
        _function("infer", question, answer, "nonpayable"),
        _function("infer_open", question, answer, "nonpayable"),
        _function("assurance_of", "bytes32 receipt_id", "uint8 assurance", "view"),
        _function("receipt", "bytes32 receipt_id", _RECEIPT, "view"),
        {"type": "event", "name": "Inferred", "inputs": fields},
        {"type": "error", "name": "InferenceError", "inputs": _fields("uint8 reason")},
    ]


def _function(name: str, inputs: str, outputs: str, mutability: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "inputs": _fields(inputs),
        "outputs": _fields(outputs),
        "stateMutability": mutability,
    }


def _fields(text: str) -> list[dict[str, Any]]:
    pairs = (field.split() for field in text.split(","))
    return [{"type": kind, "name": name} for kind, name in pairs]
