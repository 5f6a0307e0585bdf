# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title InferenceHub
@license Apache-2.0
@author Foretell
@notice The contract that OpenGradient's SDK sends inferences to: run(string,uint8,ModelInput),
        runLLMCompletion(LLMCompletionRequest) and runLLMChat(LLMChatRequest). Each goes on to the precompile at 0xF4,
        whose answer is logged and returned.
@dev Interface and events are those that OpenGradient publishes (inference.abi); the code is our own.
     Calldata goes on as bytes, so that no bound of a Vyper type makes a valid request invalid. An event's data is the
     one struct that the call returns.
@custom:invariant stateless: keeps nothing and takes no ether.
"""

INFERENCE: constant(address) = 0x00000000000000000000000000000000000000F4
IDENTITY: constant(address) = 0x0000000000000000000000000000000000000004

# run(string modelId, uint8 inferenceMode, ModelInput) and runModelInference((uint8 mode, string modelCID, ModelInput))
RUN: constant(bytes4) = 0xcbf09d80
RUN_MODEL: constant(bytes4) = 0x7289e9c2
RUN_LLM_COMPLETION: constant(bytes4) = 0x14800c61
RUN_LLM_CHAT: constant(bytes4) = 0xe39aa7e7

# Topics of InferenceResult(ModelOutput), LLMCompletionResult(LLMCompletionResponse), LLMChatResult(LLMChatResponse)
INFERENCE_RESULT: constant(bytes32) = 0xc1396ff68bc2d8630100df29ce5561fa99078c602e8676ab72a53e37095d7168
LLM_COMPLETION_RESULT: constant(bytes32) = 0xe522a1a92cb132ca102e36a004efceb8c83284b64164e0d128ddce12e86cab7b
LLM_CHAT_RESULT: constant(bytes32) = 0x53fcd580be8545626a896d86eb76e16597d793de715dda5d21df71d303d1ff96

# 256 numbers, in a few tensors, with their names.
MAX_CALLDATA: constant(uint256) = 20_480
# 64 numbers in one tensor. Buffers have one byte more: what is too long would be cut short silently.
MAX_ANSWER: constant(uint256) = 5_120


@external
@raw_return
def __default__() -> Bytes[MAX_ANSWER + 1]:
    assert len(msg.data) <= MAX_CALLDATA, "hub: calldata is too long"
    selector: bytes4 = convert(slice(msg.data, 0, 4), bytes4)
    if selector == RUN:
        return self._forward(self._as_request(self._calldata()), INFERENCE_RESULT)
    if selector == RUN_LLM_COMPLETION:
        return self._forward(self._calldata(), LLM_COMPLETION_RESULT)
    if selector == RUN_LLM_CHAT:
        return self._forward(self._calldata(), LLM_CHAT_RESULT)
    raise "hub: no such function"


# run's head is (offset of modelId, mode, offset of modelInput), that of the request struct is (mode, offset of
# modelCID, offset of input); both count from their first word. So the tails stay where they are.
@internal
@pure
def _as_request(data: Bytes[MAX_CALLDATA]) -> Bytes[MAX_CALLDATA + 100]:
    return concat(
        RUN_MODEL,
        convert(32, bytes32),
        slice(data, 36, 32),
        slice(data, 4, 32),
        slice(data, 68, len(data) - 68),
    )


@internal
def _forward(request: Bytes[MAX_CALLDATA + 100], topic: bytes32) -> Bytes[MAX_ANSWER + 1]:
    answer: Bytes[MAX_ANSWER + 1] = raw_call(INFERENCE, request, max_outsize=MAX_ANSWER + 1, gas=msg.gas)
    assert len(answer) <= MAX_ANSWER, "hub: answer is too long"
    raw_log([topic], answer)
    return answer


# A slice of msg.data cannot have a length that is known at run time only, a copy of it can.
@internal
@view
def _calldata() -> Bytes[MAX_CALLDATA]:
    return raw_call(IDENTITY, msg.data, max_outsize=MAX_CALLDATA, gas=msg.gas, is_static_call=True)
