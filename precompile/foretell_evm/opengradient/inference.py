"""0xF4: ``runModelInference`` on the models of ModelRegistry, by the way that the native precompile goes.

Evidence, receipts, the ``Inferred`` log and refusals are the native precompile's; what differs is the ABI.
"""

from collections.abc import Callable
from math import prod
from typing import Final

from eth.abc import ComputationAPI
from eth.exceptions import Revert
from eth_typing import Address
from eth_utils import to_checksum_address

from foretell_evm.opengradient import abi
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.numbers import from_wad, to_wad
from foretell_evm.precompile import Refusal, infer
from foretell_spec.abi import InferCall
from foretell_spec.assurance import Assurance
from foretell_spec.errors import CalldataError, TensorError
from foretell_spec.gas import INFER_BASE, INFER_PER_INPUT, INFER_RECORD, PROOF_VERIFICATION, UNKNOWN_CALL
from foretell_spec.reasons import Reason, revert_data
from foretell_spec.tensor import Tensor

ADDRESS: Final = Address((0xF4).to_bytes(20, "big"))
OUTPUT_NAME: Final = "output"
MAX_CALLDATA: Final = 32_768
"""Bytes of a call: twice what the greatest input takes as one tensor."""

LOG_BASE: Final = 750
LOG_BYTE: Final = 8

_ASSURANCE: Final = {0: Assurance.SIGNED, 1: Assurance.PROVEN, 2: Assurance.ATTESTED}
"""VANILLA, ZK, TEE."""


def required_gas(data: bytes, *, is_static: bool) -> int:
    """Gas of a call before its event: the native schedule, with every word of calldata as one number."""
    if data[:4] != abi.RUN_MODEL:
        return UNKNOWN_CALL
    gas = INFER_BASE + INFER_PER_INPUT * (len(data) // 32)
    if not is_static:
        gas += INFER_RECORD
    if int.from_bytes(data[36:68], "big") == 1:
        gas += PROOF_VERIFICATION
    return gas


def inference_precompile(config: OpenGradientConfig) -> Callable[[ComputationAPI], ComputationAPI]:
    """The precompile for a chain with these settings."""

    def run(computation: ComputationAPI) -> ComputationAPI:
        data = bytes(computation.msg.data)
        computation.consume_gas(
            required_gas(data, is_static=computation.msg.is_static), reason="OpenGradient inference"
        )
        try:
            computation.output = _answer(computation, data, config)
        except Refusal as refusal:
            computation.output = revert_data(refusal.reason)
            raise Revert(refusal.reason.name) from None
        return computation

    return run


def _answer(computation: ComputationAPI, data: bytes, config: OpenGradientConfig) -> bytes:
    message = computation.msg
    if message.storage_address != ADDRESS or message.code_address != ADDRESS:
        raise Refusal(Reason.DELEGATED_CALL)
    if message.value:
        raise Refusal(Reason.NOT_PAYABLE)
    if data[:4] in abi.LANGUAGE_MODEL_CALLS:
        raise Refusal(Reason.NO_LANGUAGE_MODEL)
    if data[:4] != abi.RUN_MODEL:
        raise Refusal(Reason.UNKNOWN_FUNCTION)
    if len(data) > MAX_CALLDATA:
        raise Refusal(Reason.BAD_CALLDATA)
    try:
        request = abi.decode_model_request(data)
    except CalldataError:
        raise Refusal(Reason.BAD_CALLDATA) from None
    return _run_model(computation, request, config)


def _run_model(computation: ComputationAPI, request: abi.ModelRequest, config: OpenGradientConfig) -> bytes:
    model_id, assurance = config.model_id(request.model_cid), _ASSURANCE.get(request.mode)
    if model_id is None:
        raise Refusal(Reason.UNKNOWN_MODEL)
    if assurance is None:
        raise Refusal(Reason.BAD_CALLDATA)
    outputs, receipt_id = infer(computation, InferCall(model_id, _inputs(request), assurance))
    try:
        values = tuple(from_wad(wad) for wad in outputs)
    except TensorError:
        # Outputs are bounded so that this cannot be; a chain must not halt if a bound ever changes.
        raise Refusal(Reason.BAD_INPUT) from None
    tensor = abi.NumberTensor(OUTPUT_NAME, values, (len(values),))
    if not computation.msg.is_static:
        event = abi.encode_event(f"0x{receipt_id.hex()}", request, tensor)
        computation.consume_gas(LOG_BASE + LOG_BYTE * len(event), reason="ModelInferenceEvent")
        computation.add_log_entry(ADDRESS, (int.from_bytes(abi.MODEL_INFERENCE_TOPIC, "big"),), event)
    return abi.encode_output(tensor, config.layout_for(to_checksum_address(computation.msg.sender)))


def _inputs(request: abi.ModelRequest) -> Tensor:
    """All numbers, tensor after tensor: a manifest has one flat input."""
    if request.strings:
        raise Refusal(Reason.BAD_INPUT)
    wads: list[int] = []
    for tensor in request.numbers:
        if prod(tensor.shape) != len(tensor.values):
            raise Refusal(Reason.BAD_INPUT)
        try:
            wads += [to_wad(number) for number in tensor.values]
        except TensorError:
            raise Refusal(Reason.BAD_INPUT) from None
    return tuple(wads)
