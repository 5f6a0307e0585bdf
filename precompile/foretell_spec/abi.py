"""The native ABI of the precompile: selectors, strict decoding, encoding.

``infer(bytes32 model_id, int256[] inputs, uint8 min_assurance) -> (int256[] outputs, bytes32 receipt_id)``
``infer_open``: the same, and takes models of class OPEN too
``assurance_of(bytes32 receipt_id) -> uint8``
``receipt(bytes32 receipt_id) -> (bytes32 request_id, bytes32 model_id, bytes32 input_hash,
bytes32 output_hash, address operator, uint8 assurance, uint64 block_number)``

Decoding accepts the canonical encoding alone, with or without zero words behind it (Vyper pads a dynamic
argument of an interface call to its greatest size), so that nothing can hide a second set of arguments.
"""

from dataclasses import dataclass
from typing import Any, Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_spec.assurance import Assurance
from foretell_spec.errors import CalldataError
from foretell_spec.tensor import MAX_INPUTS, Tensor

INFER: Final = keccak(text="infer(bytes32,int256[],uint8)")[:4]
INFER_OPEN: Final = keccak(text="infer_open(bytes32,int256[],uint8)")[:4]
ASSURANCE_OF: Final = keccak(text="assurance_of(bytes32)")[:4]
RECEIPT: Final = keccak(text="receipt(bytes32)")[:4]
INFERRED_EVENT: Final = "Inferred(bytes32,bytes32,address,int256[],int256[],uint8)"
INFERRED_TOPIC: Final = keccak(text=INFERRED_EVENT)

RECEIPT_WORDS: Final = ("bytes32", "bytes32", "bytes32", "bytes32", "address", "uint8", "uint64")

MAX_INFER_BYTES: Final = 4 + (4 + MAX_INPUTS) * 32
"""Longest calldata of ``infer``, padding included."""

_INPUTS_OFFSET: Final = 3 * 32
_SIGN_BIT: Final = 1 << 255


@dataclass(frozen=True, slots=True)
class InferCall:
    """A decoded ``infer`` or ``infer_open``; ``inputs`` are WAD.

    ``accepts_open``: the caller takes an answer of a model that has no one correct output.
    """

    model_id: bytes
    inputs: Tensor
    min_assurance: Assurance
    accepts_open: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the precompile remembers of a result; all zero where there is none."""

    request_id: bytes
    model_id: bytes
    input_hash: bytes
    output_hash: bytes
    operator: ChecksumAddress
    assurance: Assurance
    block_number: int

    def encode(self) -> bytes:
        """ABI encoding of ``receipt``'s return values."""
        values: list[Any] = [self.request_id, self.model_id, self.input_hash, self.output_hash, self.operator]
        return encode(RECEIPT_WORDS, [*values, int(self.assurance), self.block_number])


def encode_infer(call: InferCall) -> bytes:
    """Calldata of ``infer`` or ``infer_open``."""
    arguments = [call.model_id, list(call.inputs), int(call.min_assurance)]
    selector = INFER_OPEN if call.accepts_open else INFER
    return selector + encode(["bytes32", "int256[]", "uint8"], arguments)


def decode_infer(data: bytes) -> InferCall:
    """Decode calldata of ``infer`` or ``infer_open``, selector included.

    Raises:
        CalldataError: not the canonical encoding, but for zero words behind it; over ``MAX_INPUTS`` numbers;
            or an unknown assurance.
    """
    selector, body = data[:4], data[4:]
    if (
        selector not in (INFER, INFER_OPEN)
        or len(body) < 4 * 32
        or len(body) % 32
        or len(data) > MAX_INFER_BYTES
    ):
        raise CalldataError("not a call of infer")
    offset, assurance, count = (_word(body, index) for index in (1, 2, 3))
    if offset != _INPUTS_OFFSET or len(body) < (4 + count) * 32 or any(body[(4 + count) * 32 :]):
        raise CalldataError("the inputs are not canonically encoded")
    if not Assurance.SIGNED <= assurance <= Assurance.PROVEN:
        raise CalldataError(f"assurance {assurance} is not SIGNED..PROVEN")
    inputs = tuple(_signed(_word(body, 4 + index)) for index in range(count))
    return InferCall(body[:32], inputs, Assurance(assurance), accepts_open=selector == INFER_OPEN)


def encode_infer_result(outputs: Tensor, receipt_id: bytes) -> bytes:
    """Return data of ``infer``; ``outputs`` are WAD."""
    return encode(["int256[]", "bytes32"], [list(outputs), receipt_id])


def decode_receipt_id(data: bytes) -> bytes:
    """The one argument of ``assurance_of`` and ``receipt``.

    Raises:
        CalldataError: the calldata is not a selector and one word.
    """
    if len(data) != 36:
        raise CalldataError("one bytes32 argument expected")
    return data[4:]


def encode_assurance(assurance: Assurance) -> bytes:
    """Return data of ``assurance_of``."""
    return int(assurance).to_bytes(32, "big")


def encode_inferred_data(inputs: Tensor, outputs: Tensor, assurance: Assurance) -> bytes:
    """Data of the ``Inferred`` log; inputs and outputs are quantised."""
    return encode(["int256[]", "int256[]", "uint8"], [list(inputs), list(outputs), int(assurance)])


def _word(body: bytes, index: int) -> int:
    return int.from_bytes(body[32 * index : 32 * index + 32], "big")


def _signed(word: int) -> int:
    return word - (1 << 256) if word & _SIGN_BIT else word
