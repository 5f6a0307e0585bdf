# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title callback
@license Apache-2.0
@notice Calls a consumer so that it can neither undo the settlement, nor starve, nor flood it with return data.
"""

# What the CALL itself costs beside the gas that it hands over, with room to spare.
CALL_OVERHEAD: constant(uint256) = 5_000
MAX_CALLDATA: constant(uint256) = 2276

# One word for the request, one for a number, and at most 64 outputs.
ON_INFERENCE: constant(uint8) = 1
ON_INFERENCE_FINAL: constant(uint8) = 2
ON_INFERENCE_REVERSED: constant(uint8) = 3


# True if the consumer returned. It had at least min_gas, otherwise all is reverted: the 63/64 rule (EIP-150)
# would hand over less in silence. With exact_gas it had no more than that either.
@internal
def send(consumer: address, data: Bytes[MAX_CALLDATA], min_gas: uint256, exact_gas: bool) -> bool:
    assert msg.gas - msg.gas // 64 >= min_gas + CALL_OVERHEAD, "callback: not enough gas"
    allowance: uint256 = min_gas
    if not exact_gas:
        allowance = msg.gas
    return raw_call(consumer, data, gas=allowance, max_outsize=0, revert_on_failure=False)


# Calldata of a callback; number is the assurance or the compensation.
@internal
@pure
def encode(
    kind: uint8, request_id: bytes32, outputs: DynArray[int256, 64], number: uint256
) -> Bytes[MAX_CALLDATA]:
    if kind == ON_INFERENCE:
        return abi_encode(
            request_id, outputs, number, method_id=method_id("on_inference(bytes32,int256[],uint8)")
        )
    if kind == ON_INFERENCE_FINAL:
        return abi_encode(
            request_id, outputs, number, method_id=method_id("on_inference_final(bytes32,int256[],uint8)")
        )
    return abi_encode(
        request_id, outputs, number, method_id=method_id("on_inference_reversed(bytes32,int256[],uint256)")
    )
