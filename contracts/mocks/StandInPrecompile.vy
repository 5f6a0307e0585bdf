# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title StandInPrecompile
@license Apache-2.0
@notice Stands for the inference precompile in tests on chains without it: tests script the answers.
"""

from ..interfaces import IInference
from ..lib import tensor

implements: IInference

_outputs_q: DynArray[int256, 64]
_operator: address
_assurance: uint8
_input_scale: uint8
_output_scale: uint8
_receipts: HashMap[bytes32, IInference.Receipt]


@external
def script(
    outputs_q: DynArray[int256, 64],
    operator: address,
    assurance: uint8,
    input_scale: uint8,
    output_scale: uint8,
):
    self._outputs_q = outputs_q
    self._operator = operator
    self._assurance = assurance
    self._input_scale = input_scale
    self._output_scale = output_scale


# A real one raises the assurance to what was asked for; this one gives what was scripted.
@external
def infer(
    model_id: bytes32, inputs: DynArray[int256, 256], min_assurance: uint8
) -> (DynArray[int256, 64], bytes32):
    return self._infer(model_id, inputs)


@external
def infer_open(
    model_id: bytes32, inputs: DynArray[int256, 256], min_assurance: uint8
) -> (DynArray[int256, 64], bytes32):
    return self._infer(model_id, inputs)


@internal
def _infer(model_id: bytes32, inputs: DynArray[int256, 256]) -> (DynArray[int256, 64], bytes32):
    inputs_q: DynArray[int256, 256] = tensor.quantise(inputs, self._input_scale)
    input_hash: bytes32 = tensor.hash_inputs(inputs_q)
    output_hash: bytes32 = tensor.hash_outputs(self._outputs_q)
    request_id: bytes32 = keccak256(abi_encode(model_id, input_hash))
    receipt_id: bytes32 = keccak256(abi_encode(request_id, output_hash, self._operator))
    self._receipts[receipt_id] = IInference.Receipt(
        request_id=request_id,
        model_id=model_id,
        input_hash=input_hash,
        output_hash=output_hash,
        operator=self._operator,
        assurance=self._assurance,
        block_number=convert(block.number, uint64),
    )
    return tensor.dequantise(self._outputs_q, self._output_scale), receipt_id


@external
@view
def assurance_of(receipt_id: bytes32) -> uint8:
    return self._receipts[receipt_id].assurance


@external
@view
def receipt(receipt_id: bytes32) -> IInference.Receipt:
    return self._receipts[receipt_id]
