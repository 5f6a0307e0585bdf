"""The ABIs of 0xF4, 0xF5 and 0x900: types, selectors and event topics of OpenGradient's interfaces."""

from dataclasses import dataclass
from typing import Final

from eth_abi import encode
from eth_utils import keccak

from foretell_evm.opengradient.canonical import decode_canonical
from foretell_evm.opengradient.config import Layout
from foretell_evm.opengradient.numbers import Number

_TENSORS: Final = "(string,(int128,int128)[],uint32[])[],(string,string[])[]"
MODEL_REQUEST: Final = f"(uint8,string,({_TENSORS}))"
OUTPUT: Final = {
    Layout.SOLIDML: f"({_TENSORS},(string,string)[],bool)",
    Layout.NEUROML: f"({_TENSORS},bool)",
}
_TOOL_CALLS: Final = "(string,string,string)[]"
_COMPLETION: Final = "(uint8,string,string,uint32,string[],uint32)"
_MESSAGE: Final = f"(string,string,string,string,{_TOOL_CALLS})"
_CHAT: Final = f"(uint8,string,{_MESSAGE}[],(string,string,string)[],string,uint32,string[],uint32)"
QUERY: Final = "(string,string,uint32,uint32,uint8,uint8[])"


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


RUN_MODEL: Final = _selector(f"runModelInference({MODEL_REQUEST})")
RUN_LLM_COMPLETION: Final = _selector(f"runLLMCompletion({_COMPLETION})")
RUN_LLM_CHAT: Final = _selector(f"runLLMChat({_CHAT})")
RUN_LLM_NEUROML: Final = _selector(f"runLLMInference({_COMPLETION})")
LANGUAGE_MODEL_CALLS: Final = frozenset({RUN_LLM_COMPLETION, RUN_LLM_CHAT, RUN_LLM_NEUROML})

QUERY_CANDLES: Final = _selector(f"queryHistoricalCandles({QUERY})")
RUN_ON_PRICE_FEED: Final = _selector(f"runInferenceOnPriceFeed(string,string,{QUERY})")

VERIFY_ATTESTATION: Final = _selector("verifyAttestation(bytes,bytes,bytes,bytes)")
VERIFY_RSA_PSS: Final = _selector("verifyRSAPSS(bytes,bytes32,bytes)")

MODEL_INFERENCE_TOPIC: Final = keccak(
    text=f"ModelInferenceEvent(string,{MODEL_REQUEST},{OUTPUT[Layout.SOLIDML]})"
)
HISTORICAL_INFERENCE_TOPIC: Final = keccak(text="HistoricalInferenceEvent(string,string,string,string)")


@dataclass(frozen=True, slots=True)
class NumberTensor:
    """Named numbers with a shape, row by row."""

    name: str
    values: tuple[Number, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A decoded ``ModelInferenceRequest``; ``strings`` are pairs of a name and its values."""

    mode: int
    model_cid: str
    numbers: tuple[NumberTensor, ...]
    strings: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class CandleQuery:
    """A decoded ``HistoricalInputQuery``.

    ``order``: 0 oldest first, 1 newest first; ``types``: 0 high, 1 low, 2 open, 3 close, 4 volume.
    """

    base: str
    quote: str
    total_candles: int
    candle_duration_in_mins: int
    order: int
    types: tuple[int, ...]


def decode_model_request(data: bytes) -> ModelRequest:
    """The argument of ``runModelInference``, from calldata with its selector.

    Raises:
        CalldataError: not the canonical encoding.
    """
    ((mode, cid, (numbers, strings)),) = decode_canonical([MODEL_REQUEST], data[4:])
    return ModelRequest(mode, cid, tuple(NumberTensor(*tensor) for tensor in numbers), strings)


def decode_query(data: bytes) -> CandleQuery:
    """The argument of ``queryHistoricalCandles``, from calldata with its selector.

    Raises:
        CalldataError: not the canonical encoding.
    """
    (query,) = decode_canonical([QUERY], data[4:])
    return CandleQuery(*query)


def decode_run_on_price_feed(data: bytes) -> tuple[str, str, CandleQuery]:
    """The arguments of ``runInferenceOnPriceFeed``: CID, name of the input, query.

    Raises:
        CalldataError: not the canonical encoding.
    """
    cid, input_name, query = decode_canonical(["string", "string", QUERY], data[4:])
    return cid, input_name, CandleQuery(*query)


def query_position(data: bytes) -> int | None:
    """Where the query begins in calldata of 0xF5; ``None`` where its function takes none."""
    argument = {QUERY_CANDLES: 4, RUN_ON_PRICE_FEED: 4 + 2 * 32}.get(data[:4])
    return None if argument is None else 4 + _word(data, argument)


def query_size(data: bytes, at: int) -> tuple[int, int, int]:
    """Candles, minutes and number of types of the query at ``at``, before anything is checked."""
    return _word(data, at + 64), _word(data, at + 96), _word(data, at + _word(data, at + 160))


def encode_output(tensor: NumberTensor, layout: Layout) -> bytes:
    """Return data of a model call: one number tensor, and never a simulation."""
    return encode([OUTPUT[layout]], [_output(tensor, layout)])


def encode_numbers(values: list[Number]) -> bytes:
    """Return data of ``queryHistoricalCandles``."""
    words = [32, len(values), *(word for number in values for word in number)]
    return b"".join(word.to_bytes(32, "big", signed=True) for word in words)


def encode_model_event(inference_id: str, request: ModelRequest, tensor: NumberTensor) -> bytes:
    """Data of ``ModelInferenceEvent``."""
    numbers = [(given.name, given.values, given.shape) for given in request.numbers]
    asked = (request.mode, request.model_cid, (numbers, request.strings))
    return encode(
        ["string", MODEL_REQUEST, OUTPUT[Layout.SOLIDML]],
        [inference_id, asked, _output(tensor, Layout.SOLIDML)],
    )


def encode_historical_event(inference_id: str, cid: str, query: CandleQuery) -> bytes:
    """Data of ``HistoricalInferenceEvent``."""
    return encode(["string"] * 4, [inference_id, cid, query.base, query.quote])


def _output(tensor: NumberTensor, layout: Layout) -> tuple[object, ...]:
    numbers = [(tensor.name, tensor.values, tensor.shape)]
    return (numbers, [], [], False) if layout is Layout.SOLIDML else (numbers, [], False)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 32], "big")
