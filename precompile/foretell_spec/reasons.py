"""Why an inference gave no answer, or a transaction came to no block: one code, on chain as revert data and
off chain for the sender.
"""

from enum import IntEnum, unique
from typing import Final

from eth_abi import encode
from eth_utils import keccak

INFERENCE_ERROR: Final = "InferenceError(uint8)"
INFERENCE_ERROR_SELECTOR: Final = keccak(text=INFERENCE_ERROR)[:4]


@unique
class Reason(IntEnum):
    """Those up to ``OPEN_MODEL`` follow from call and state and revert within a block; the later ones
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
    NO_PRICES = 11
    OPEN_MODEL = 12

    NO_OPERATOR = 32
    TIMEOUT = 33
    UNDETERMINED = 34
    STALE = 35
    POOL_FULL = 36
    PRICE = 37
    BAD_EVIDENCE = 38
    SENDER_LIMIT = 39
    BLOCK_LIMIT = 40
    REPLACED = 41
    DROPPED = 42
    INVALID = 43
    EXPIRED = 44


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
    Reason.NO_PRICES: "the chain's price feed has no such history at this time",
    Reason.OPEN_MODEL: "no correct output is defined for this model: only infer_open takes it",
    Reason.NO_OPERATOR: "no bonded operator serves this model",
    Reason.TIMEOUT: "no operator answered before the deadline",
    Reason.UNDETERMINED: "operators gave different outputs and nothing decided between them in time",
    Reason.STALE: "the state changed too often between asking and answering",
    Reason.POOL_FULL: "the mempool or the inference pool is full",
    Reason.PRICE: "the sender cannot pay for its transactions, or asked too much that never came to a block",
    Reason.BAD_EVIDENCE: "the operators' evidence did not hold",
    Reason.SENDER_LIMIT: "the sender has as many transactions or questions under way as one may have",
    Reason.BLOCK_LIMIT: "its inferences take more bundles than a block may carry",
    Reason.REPLACED: "another transaction of its sender with the same nonce took its place",
    Reason.DROPPED: "it was taken out of the mempool on request",
    Reason.INVALID: "the state does not let it into a block",
    Reason.EXPIRED: "it waited longer than the mempool keeps a transaction",
}


NOT_OF_INFERENCE: Final = frozenset(
    {Reason.BLOCK_LIMIT, Reason.REPLACED, Reason.DROPPED, Reason.INVALID, Reason.EXPIRED}
)
"""Ends of a transaction that no inference is the cause of."""


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
