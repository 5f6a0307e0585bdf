# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title assured
@license Apache-2.0
@notice For contracts that act on a result before it is final: never on more than a bond covers.
        `insure` takes the result into settlement with the amount at risk; `release` ends the exposure in
        on_inference_final and on_inference_reversed.
"""

from ..interfaces import IInference
from ..interfaces import IOperatorRegistry
from ..interfaces import ISettlement
from . import inference
from . import inference_consumer

uses: inference_consumer

MAX_INPUTS: constant(uint256) = 256

# Wei at risk on each result that is not final yet, and in all.
exposure: HashMap[bytes32, uint256]
total_exposure: uint256


@internal
@view
def require_assurance(receipt_id: bytes32, minimum: uint8):
    assert inference.assurance_of(receipt_id) >= minimum, "assured: assurance too low"


# Most that could be put at risk now on a result: the free bond of its operator less what a dispute needs.
@internal
@view
def insurable(receipt_id: bytes32) -> uint256:
    settlement: ISettlement = ISettlement(inference_consumer.settlement)
    registry: IOperatorRegistry = IOperatorRegistry(staticcall settlement.operator_registry())
    operator: address = inference.receipt(receipt_id).operator
    free: uint256 = staticcall registry.free_bond(operator)
    reserved: uint256 = staticcall settlement.dispute_bond()
    return free - min(free, reserved)


# Opens the settlement of a result of this block. If the result does not stand, Settlement credits value_at_risk.
# A proven result is final at once: nothing is at risk, and no callback follows.
@internal
def insure(
    receipt_id: bytes32,
    model_id: bytes32,
    inputs: DynArray[int256, MAX_INPUTS],
    value_at_risk: uint256,
    fee: uint256,
) -> bytes32:
    assert value_at_risk > 0, "assured: nothing at risk"
    proven: bool = inference.assurance_of(receipt_id) == inference.PROVEN
    if not proven:
        assert value_at_risk <= self.insurable(receipt_id), "assured: bond does not cover the value at risk"
    request_id: bytes32 = extcall ISettlement(inference_consumer.settlement).settle_receipt(
        receipt_id, model_id, inputs, value_at_risk, fee, value=fee
    )
    if not proven:
        self.exposure[request_id] = value_at_risk
        self.total_exposure += value_at_risk
    return request_id


# Ends an exposure; returns what was at risk, zero for a request that was not insured here.
@internal
def release(request_id: bytes32) -> uint256:
    released: uint256 = self.exposure[request_id]
    self.exposure[request_id] = 0
    self.total_exposure -= released
    return released
