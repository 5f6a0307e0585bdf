"""The Solidity interfaces say what the Vyper contracts have."""

from typing import Any

import pytest

from foretell_spec.abi import INFERRED_EVENT
from tests.kit.compiled import compiled
from tests.kit.solidity import compiled_solidity

PAIRS = {
    "ISettlement": "Settlement.vy",
    "IOperatorRegistry": "OperatorRegistry.vy",
    "IInferenceConsumer": "examples/Ask.vy",
    "IInference": "mocks/StandInPrecompile.vy",
}


def shape(parameters: list[dict[str, Any]]) -> list[Any]:
    """Types alone, those of structs field by field."""
    return [
        (parameter["type"], parameter.get("indexed"), shape(parameter.get("components", [])))
        for parameter in parameters
    ]


def entries(abi: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """What is told of each function and event."""
    return {
        (entry["type"], entry["name"]): (
            shape(entry["inputs"]),
            shape(entry.get("outputs", [])),
            entry.get("stateMutability"),
        )
        for entry in abi
        if entry["type"] in ("function", "event")
    }


@pytest.mark.parametrize("interface", sorted(PAIRS))
def test_interface__each_entry__is_the_contracts(interface: str) -> None:
    told = entries(compiled_solidity(f"contracts/solidity/{interface}.sol", interface)["abi"])
    real = entries(compiled(PAIRS[interface])["abi"])
    told.pop(("event", "Inferred"), None)  # of the precompile: see below
    assert told
    assert {key: real.get(key) for key in told} == told


def test_interface__struct_fields__have_the_same_names() -> None:
    def fields(abi: list[dict[str, Any]], function: str) -> list[str]:
        (entry,) = (entry for entry in abi if entry.get("name") == function)
        return [field["name"] for parameter in entry["inputs"] for field in parameter.get("components", [])]

    solidity = compiled_solidity("contracts/solidity/ISettlement.sol", "ISettlement")["abi"]
    vyper = compiled("Settlement.vy")["abi"]
    for function in ("request", "cancel", "output_hash_of"):
        assert fields(solidity, function) == fields(vyper, function) != []


def test_inferred__event__is_the_precompiles() -> None:
    abi = compiled_solidity("contracts/solidity/IInference.sol", "IInference")["abi"]
    (event,) = (entry for entry in abi if entry.get("name") == "Inferred")
    types = ",".join(parameter["type"] for parameter in event["inputs"])
    assert f"Inferred({types})" == INFERRED_EVENT
    assert [parameter["indexed"] for parameter in event["inputs"]] == [True] * 3 + [False] * 3
