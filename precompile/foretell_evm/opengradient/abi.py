"""The ABI of 0xF4: types, selectors and event topics of OpenGradient's interface ``OGInference``."""

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

RUN_MODEL: Final = keccak(text=f"runModelInference({MODEL_REQUEST})")[:4]
RUN_LLM_COMPLETION: Final = keccak(text=f"runLLMCompletion({_COMPLETION})")[:4]
RUN_LLM_CHAT: Final = keccak(text=f"runLLMChat({_CHAT})")[:4]
RUN_LLM_NEUROML: Final = keccak(text=f"runLLMInference({_COMPLETION})")[:4]
LANGUAGE_MODEL_CALLS: Final = frozenset({RUN_LLM_COMPLETION, RUN_LLM_CHAT, RUN_LLM_NEUROML})

MODEL_INFERENCE_TOPIC: Final = keccak(
    text=f"ModelInferenceEvent(string,{MODEL_REQUEST},{OUTPUT[Layout.SOLIDML]})"
)


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


def decode_model_request(data: bytes) -> ModelRequest:
    """The argument of ``runModelInference``, from calldata with its selector.

    Raises:
        CalldataError: not the canonical encoding.
    """
    mode, cid, (numbers, strings) = decode_canonical(MODEL_REQUEST, data[4:])
    return ModelRequest(mode, cid, tuple(NumberTensor(*tensor) for tensor in numbers), strings)


def encode_output(tensor: NumberTensor, layout: Layout) -> bytes:
    """Return data of ``runModelInference``: one number tensor, and never a simulation."""
    return encode([OUTPUT[layout]], [_output(tensor, layout)])


def encode_event(inference_id: str, request: ModelRequest, tensor: NumberTensor) -> bytes:
    """Data of ``ModelInferenceEvent``."""
    numbers = [(given.name, given.values, given.shape) for given in request.numbers]
    asked = (request.mode, request.model_cid, (numbers, request.strings))
    return encode(
        ["string", MODEL_REQUEST, OUTPUT[Layout.SOLIDML]],
        [inference_id, asked, _output(tensor, Layout.SOLIDML)],
    )


def _output(tensor: NumberTensor, layout: Layout) -> tuple[object, ...]:
    numbers = [(tensor.name, tensor.values, tensor.shape)]
    return (numbers, [], [], False) if layout is Layout.SOLIDML else (numbers, [], False)
