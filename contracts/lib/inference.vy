# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title inference
@license Apache-2.0
@notice Ask a model within the transaction, through the inference precompile. The only module that names its address.
        Inputs and outputs are WAD. A refusal reverts with the precompile's InferenceError(uint8 reason).
"""

from ..interfaces import IInference

PRECOMPILE: constant(address) = 0x00000000000000000000000000000000f07e7E11

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
# Selector; model, offset, assurance and length words; inputs.
MAX_CALLDATA: constant(uint256) = 4 + 32 * (4 + MAX_INPUTS)
# Offset, receipt and length words; outputs.
MAX_ANSWER: constant(uint256) = 32 * (3 + MAX_OUTPUTS)

SIGNED: constant(uint8) = 1
AGREED: constant(uint8) = 2
ATTESTED: constant(uint8) = 3
PROVEN: constant(uint8) = 4


# (outputs, receipt id); the precompile stores the receipt. The transaction waits, outside any block, until there is
# evidence of min_assurance.
@internal
def infer(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> (DynArray[int256, MAX_OUTPUTS], bytes32):
    return self._decode(
        raw_call(
            PRECOMPILE,
            self._encode(model_id, inputs, min_assurance),
            max_outsize=MAX_ANSWER,
            gas=msg.gas,
        )
    )


# The same for a model of any class, OPEN among them: such a model has no one correct output, so nothing shows an answer
# wrong, and nobody pays for it. Only who answered is certain.
@internal
def infer_open(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> (DynArray[int256, MAX_OUTPUTS], bytes32):
    return self._decode(
        raw_call(
            PRECOMPILE,
            abi_encode(
                model_id,
                inputs,
                min_assurance,
                method_id=method_id("infer_open(bytes32,int256[],uint8)"),
            ),
            max_outsize=MAX_ANSWER,
            gas=msg.gas,
        )
    )


# The answer of infer within a view; stores no receipt, so nothing can be settled with it.
@internal
@view
def infer_view(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> (DynArray[int256, MAX_OUTPUTS], bytes32):
    return self._decode(
        raw_call(
            PRECOMPILE,
            self._encode(model_id, inputs, min_assurance),
            max_outsize=MAX_ANSWER,
            gas=msg.gas,
            is_static_call=True,
        )
    )


@internal
@view
def assurance_of(receipt_id: bytes32) -> uint8:
    return staticcall IInference(PRECOMPILE).assurance_of(receipt_id)


@internal
@view
def receipt(receipt_id: bytes32) -> IInference.Receipt:
    return staticcall IInference(PRECOMPILE).receipt(receipt_id)


@internal
@pure
def _encode(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> Bytes[MAX_CALLDATA]:
    return abi_encode(
        model_id, inputs, min_assurance, method_id=method_id("infer(bytes32,int256[],uint8)")
    )


# An account without code answers every call with success and nothing.
@internal
@pure
def _decode(answer: Bytes[MAX_ANSWER]) -> (DynArray[int256, MAX_OUTPUTS], bytes32):
    assert len(answer) > 0, "inference: no precompile here"
    return abi_decode(answer, (DynArray[int256, MAX_OUTPUTS], bytes32))
