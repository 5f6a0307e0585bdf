"""The native precompile: ``infer`` and its kin, ``assurance_of``, ``receipt`` (docs/spec/precompile.md).

It reads the model's entry from ModelRegistry in the state that it runs in, takes the answer from the
resolution, and never runs a model. Refusals revert with ``InferenceError(uint8 reason)``; the only Python
exception that leaves it is ``InferenceNeeded``. What it stores and logs lives in the EVM's journal, and is
undone with the call that caused it.
"""

from typing import Final

from eth.abc import ComputationAPI
from eth_utils import to_checksum_address

from foretell_evm import receipts
from foretell_evm.frame import Refusal, precompile
from foretell_evm.resolution import CheckedAnswer, TooManyRequests, current
from foretell_evm.system_calls import SystemCallError, model_of
from foretell_spec.abi import (
    ASSURANCE_OF,
    INFER,
    INFER_OPEN,
    INFERRED_TOPIC,
    RECEIPT,
    InferCall,
    Receipt,
    decode_infer,
    decode_receipt_id,
    encode_assurance,
    encode_infer_result,
    encode_inferred_data,
)
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.divergence import REACHABLE, DeterminismClass
from foretell_spec.errors import ManifestError, TensorError
from foretell_spec.gas import required_gas
from foretell_spec.manifest import Manifest
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason
from foretell_spec.request import NO_SEED, call_seed, precompile_request_id
from foretell_spec.tensor import Tensor, dequantise, tensor_hash


def _infer(computation: ComputationAPI, data: bytes) -> bytes:
    return encode_infer_result(*infer(computation, decode_infer(data)))


def infer(computation: ComputationAPI, call: InferCall) -> tuple[Tensor, bytes]:
    """The outputs (WAD) and receipt id for a call; stores and logs the receipt unless the call is static.

    Raises:
        Refusal: the call reverts, and why.
        InferenceNeeded: there is no answer yet.
    """
    manifest = _open_model(computation, call.model_id)
    inputs = _quantise(manifest, call.inputs)
    if manifest.determinism is DeterminismClass.OPEN and not call.accepts_open:
        raise Refusal(Reason.OPEN_MODEL)
    if call.min_assurance not in REACHABLE[manifest.determinism]:
        raise Refusal(Reason.ASSURANCE_UNAVAILABLE)
    seeded = manifest.determinism is DeterminismClass.SEEDED
    seed = _seed(computation, call.model_id, tensor_hash(inputs)) if seeded else NO_SEED
    try:
        checked = current().resolve(_job(computation, call, inputs, seed))
    except TooManyRequests:
        raise Refusal(Reason.TOO_MANY_REQUESTS) from None
    if not computation.msg.is_static:
        _record(computation, checked)
    return dequantise(checked.answer.outputs, manifest.output_scale), checked.answer.receipt_id


def _open_model(computation: ComputationAPI, model_id: bytes) -> Manifest:
    try:
        model = model_of(computation.state, model_id)
    except (SystemCallError, ManifestError):
        # A chain whose registry does not answer, or not with a manifest, knows no model.
        raise Refusal(Reason.UNKNOWN_MODEL) from None
    if model is None:
        raise Refusal(Reason.UNKNOWN_MODEL)
    if not model.is_open:
        raise Refusal(Reason.MODEL_STOPPED)
    return model.manifest


def _quantise(manifest: Manifest, inputs: Tensor) -> Tensor:
    try:
        return manifest.quantise(inputs)
    except TensorError:
        raise Refusal(Reason.BAD_INPUT) from None


def _seed(computation: ComputationAPI, model_id: bytes, input_hash: bytes) -> bytes:
    state, origin = computation.state, computation.transaction_context.origin
    return call_seed(
        chain_id=state.execution_context.chain_id,
        origin=to_checksum_address(origin),
        nonce=state.get_nonce(origin),
        call_index=current().count_seeded(),
        caller=to_checksum_address(computation.msg.sender),
        model_id=model_id,
        input_hash=input_hash,
    )


def _job(computation: ComputationAPI, call: InferCall, inputs: Tensor, seed: bytes) -> InferenceJob:
    chain_id = computation.state.execution_context.chain_id
    return InferenceJob(
        request_id=precompile_request_id(chain_id, call.model_id, tensor_hash(inputs), seed),
        model_id=call.model_id,
        inputs=inputs,
        min_assurance=call.min_assurance,
        chain_id=chain_id,
        verifying_contract=PRECOMPILE,
        seed=seed,
    )


def _record(computation: ComputationAPI, checked: CheckedAnswer) -> None:
    answer, lead, state = checked.answer, checked.answer.lead, computation.state
    receipt = Receipt(
        request_id=lead.request_id,
        model_id=lead.model_id,
        input_hash=lead.input_hash,
        output_hash=answer.output_hash,
        operator=lead.operator,
        assurance=checked.assurance,
        block_number=state.block_number,
    )
    receipts.store_receipt(state, answer.receipt_id, receipt)
    topics = [INFERRED_TOPIC, answer.receipt_id, lead.model_id]
    computation.add_log_entry(
        receipts.ADDRESS,
        (*(int.from_bytes(topic, "big") for topic in topics), int(lead.operator, 16)),
        encode_inferred_data(lead.inputs, answer.outputs, checked.assurance),
    )


def _assurance_of(computation: ComputationAPI, data: bytes) -> bytes:
    return encode_assurance(receipts.load_receipt(computation.state, decode_receipt_id(data)).assurance)


def _receipt(computation: ComputationAPI, data: bytes) -> bytes:
    return receipts.load_receipt(computation.state, decode_receipt_id(data)).encode()


foretell_precompile: Final = precompile(
    receipts.ADDRESS,
    "Foretell precompile",
    lambda data, is_static: required_gas(data, is_static=is_static),
    {INFER: _infer, INFER_OPEN: _infer, ASSURANCE_OF: _assurance_of, RECEIPT: _receipt},
)
