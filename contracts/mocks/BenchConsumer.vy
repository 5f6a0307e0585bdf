# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title BenchConsumer
@license Apache-2.0
@notice Asks about four numbers, and keeps the answer in one of 128 slots: the work that peers are measured by.
"""

from ..interfaces import IInferenceConsumer
from ..interfaces import ISettlement

implements: IInferenceConsumer

settlement: immutable(address)
model_id: immutable(bytes32)
fee: immutable(uint256)
results: public(int256[128])

WAD: constant(int256) = 10**18
CALLBACK_GAS: constant(uint32) = 60_000
VALUE_AT_RISK: constant(uint256) = 10**18


@deploy
def __init__(settlement_: address, model_id_: bytes32, fee_: uint256):
    settlement = settlement_
    model_id = model_id_
    fee = fee_


@external
def ask(values: int256[4]) -> bytes32:
    return extcall ISettlement(settlement).request(
        model_id, [values[0], values[1], values[2], values[3]], self._policy(), fee
    )


@external
def ask_many(values: DynArray[int256, 1024], count: uint256):
    ids: DynArray[bytes32, 100] = extcall ISettlement(settlement).request_many(
        model_id, values, count, self._policy(), fee
    )


@external
def on_inference(request_id: bytes32, outputs: DynArray[int256, 64], assurance: uint8):
    assert msg.sender == settlement
    self.results[(outputs[0] // WAD) % 128] = outputs[0]


@external
def on_inference_final(request_id: bytes32, outputs: DynArray[int256, 64], assurance: uint8):
    assert msg.sender == settlement


@external
def on_inference_reversed(request_id: bytes32, outputs: DynArray[int256, 64], compensation: uint256):
    assert msg.sender == settlement


@internal
@view
def _policy() -> ISettlement.Policy:
    return ISettlement.Policy(
        min_assurance=1,
        provisional=True,
        callback_gas=CALLBACK_GAS,
        deadline=convert(block.timestamp + 600, uint64),
        value_at_risk=VALUE_AT_RISK,
    )
