"""Why an inference did not give an answer: one code, on chain as revert data and off chain for the sender."""

from enum import IntEnum, unique
from typing import Final

from eth_abi import encode
from eth_utils import keccak

INFERENCE_ERROR: Final = "InferenceError(uint8)"
INFERENCE_ERROR_SELECTOR: Final = keccak(text=INFERENCE_ERROR)[:4]


@unique
class Reason(IntEnum):
    """Those up to ``NO_LANGUAGE_MODEL`` follow from call and state and revert within a block; the later ones
    keep a transaction out of blocks.
    """

    BAD_CALLDATA = 1
    UNKNOWN_FUNCTION = 2
    DELEGATED_CALL = 3
    NOT_PAYABLE = 4
    UNKNOWN_MODEL = 5
    MODEL_STOPPED = 6
    BAD_INPUT = 7
    ASSURANCE_UNAVAILABLE = 8
    TOO_MANY_REQUESTS = 9
    NO_LANGUAGE_MODEL = 10

    NO_OPERATOR = 32
    TIMEOUT = 33
    UNDETERMINED = 34
    STALE = 35
    POOL_FULL = 36
    PRICE = 37
    BAD_EVIDENCE = 38


EXPLANATIONS: Final[dict[Reason, str]] = {
    Reason.BAD_CALLDATA: "the calldata is not the canonical ABI encoding of the function's arguments",
    Reason.UNKNOWN_FUNCTION: "the precompile has no such function",
    Reason.DELEGATED_CALL: "the precompile refuses delegatecall and callcode",
    Reason.NOT_PAYABLE: "the precompile takes no ether",
    Reason.UNKNOWN_MODEL: "no model of this id is registered",
    Reason.MODEL_STOPPED: "the model's publisher has stopped new requests",
    Reason.BAD_INPUT: "the input has the wrong size or lies outside the model's domain",
    Reason.ASSURANCE_UNAVAILABLE: "a model of this class cannot reach the assurance that was asked for",
    Reason.TOO_MANY_REQUESTS: "the transaction asks for more inferences than one transaction may",
    Reason.NO_LANGUAGE_MODEL: "this chain serves no language models to contracts",
    Reason.NO_OPERATOR: "no bonded operator serves this model",
    Reason.TIMEOUT: "no operator answered before the deadline",
    Reason.UNDETERMINED: "operators gave different outputs and nothing decided between them in time",
    Reason.STALE: "the state changed too often between asking and answering",
    Reason.POOL_FULL: "the inference pool, or this sender's share of it, is full",
    Reason.PRICE: "the transaction's fee is below what the pool asks",
    Reason.BAD_EVIDENCE: "the operators' evidence did not hold",
}


def revert_data(reason: Reason) -> bytes:
    """What the precompile returns when it reverts: ``InferenceError(uint8)``."""
    return INFERENCE_ERROR_SELECTOR + encode(["uint8"], [int(reason)])


def reason_of(data: bytes) -> Reason | None:
    """The reason in revert data, or ``None`` where it is somebody else's."""
    if len(data) != 36 or data[:4] != INFERENCE_ERROR_SELECTOR:
        return None
    try:
        return Reason(int.from_bytes(data[4:], "big"))
    except ValueError:
        return None
