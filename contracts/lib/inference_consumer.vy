# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title inference_consumer
@license Apache-2.0
@notice For contracts that use Settlement: ask asynchronously, guard the callbacks, fetch what is owed.
        Settlement calls back only the contract that opened the request, so the guard is all that a callback needs.
        A contract that receives fees or compensation back needs a payable __default__ that calls `check_payment`.
"""

from ..interfaces import ISettlement

MAX_INPUTS: constant(uint256) = 256

settlement: immutable(address)


@deploy
def __init__(settlement_: address):
    assert settlement_ != empty(address), "consumer: settlement is zero"
    settlement = settlement_


# Opens a request and sends the fee with it; the answer comes as a callback.
@internal
def request(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], policy: ISettlement.Policy, fee: uint256
) -> bytes32:
    return extcall ISettlement(settlement).request(model_id, inputs, policy, fee, value=fee)


# First line of every callback.
@internal
@view
def check_callback():
    assert msg.sender == settlement, "consumer: only settlement"


# Body of a payable __default__.
@internal
@view
def check_payment():
    assert msg.sender == settlement, "consumer: only settlement pays"


# Fetches refunds and compensations; returns the wei received.
@internal
def collect() -> uint256:
    return extcall ISettlement(settlement).withdraw()
