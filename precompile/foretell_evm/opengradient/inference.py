"""0xF4: ``runModelInference`` on the models of ModelRegistry, by the way that the native precompile goes.

Evidence, receipts, the ``Inferred`` log and refusals are the native precompile's; what differs is the ABI.
"""

from math import prod
from typing import Final

from eth.abc import ComputationAPI
from eth_utils import to_checksum_address

from foretell_evm.frame import Precompile, Refusal, log_event, precompile
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.addresses import INFERENCE
from foretell_evm.opengradient.config import Mode, OpenGradientConfig
from foretell_evm.opengradient.gas import inference_gas
from foretell_evm.opengradient.numbers import from_wad, to_wad
from foretell_evm.precompile import infer
from foretell_spec.abi import InferCall
from foretell_spec.errors import TensorError
from foretell_spec.reasons import Reason
from foretell_spec.tensor import Tensor

OUTPUT_NAME: Final = "output"
MAX_CALLDATA: Final = 65_536
"""Bytes of a call: four times what the greatest input takes as one tensor."""

_MODES: Final = frozenset(Mode)


def inference_precompile(config: OpenGradientConfig) -> Precompile:
    """0xF4 of a chain with these settings."""

    def run_model(computation: ComputationAPI, data: bytes) -> bytes:
        if len(data) > MAX_CALLDATA:
            raise Refusal(Reason.BAD_CALLDATA)
        return _run_model(computation, abi.decode_model_request(data), config)

    def no_language_model(computation: ComputationAPI, data: bytes) -> bytes:
        del computation, data
        raise Refusal(Reason.NO_LANGUAGE_MODEL)

    functions = {**dict.fromkeys(abi.LANGUAGE_MODEL_CALLS, no_language_model), abi.RUN_MODEL: run_model}
    return precompile(INFERENCE, "OpenGradient inference", inference_gas, functions)


def _run_model(computation: ComputationAPI, request: abi.ModelRequest, config: OpenGradientConfig) -> bytes:
    if request.mode not in _MODES:
        raise Refusal(Reason.BAD_CALLDATA)
    inputs = _inputs(request)
    tensor, inference_id = run_model(computation, config, request.model_cid, Mode(request.mode), inputs)
    event = abi.encode_model_event(inference_id, request, tensor)
    log_event(computation, INFERENCE, abi.MODEL_INFERENCE_TOPIC, event)
    return encode_for_caller(computation, tensor, config)


def run_model(
    computation: ComputationAPI, config: OpenGradientConfig, cid: str, mode: Mode, inputs: Tensor
) -> tuple[abi.NumberTensor, str]:
    """The output of the model that ``cid`` names for WAD inputs, and the inference's id.

    Raises:
        Refusal: the call reverts, and why.
        InferenceNeeded: there is no answer yet.
    """
    model_id = config.model_id(cid)
    if model_id is None:
        raise Refusal(Reason.UNKNOWN_MODEL)
    outputs, receipt_id = infer(computation, InferCall(model_id, inputs, mode.assurance))
    try:
        values = tuple(from_wad(wad) for wad in outputs)
    except TensorError:
        # Outputs are bounded so that this cannot be; a chain must not halt if a bound ever changes.
        raise Refusal(Reason.BAD_INPUT) from None
    return abi.NumberTensor(OUTPUT_NAME, values, (len(values),)), f"0x{receipt_id.hex()}"


def encode_for_caller(
    computation: ComputationAPI, tensor: abi.NumberTensor, config: OpenGradientConfig
) -> bytes:
    """The output in the layout that the caller decodes."""
    return abi.encode_output(tensor, config.layout_for(to_checksum_address(computation.msg.sender)))


def _inputs(request: abi.ModelRequest) -> Tensor:
    """All numbers, tensor after tensor: a manifest has one flat input."""
    if request.strings or any(prod(tensor.shape) != len(tensor.values) for tensor in request.numbers):
        raise Refusal(Reason.BAD_INPUT)
    try:
        return tuple(to_wad(number) for tensor in request.numbers for number in tensor.values)
    except TensorError:
        raise Refusal(Reason.BAD_INPUT) from None
