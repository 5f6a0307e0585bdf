# pragma version ~=0.4.3
"""
@title Decider
@license Apache-2.0
@notice Acts on a model's answer.
"""

from .lib import inference

event Decided:
    yes: bool
    output: int256
    assurance: uint8

model_id: immutable(bytes32)
decisions: public(uint256)
lot: public(bytes32)


@deploy
def __init__(model_id_: bytes32):
    model_id = model_id_


@external
def decide(inputs: DynArray[int256, 256], threshold: int256, min_assurance: uint8) -> bool:
    assert threshold >= 0, "decider: negative threshold"
    outputs: DynArray[int256, 64] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer(model_id, inputs, min_assurance)
    yes: bool = outputs[0] > threshold
    self.decisions += 1
    log Decided(yes=yes, output=outputs[0], assurance=inference.assurance_of(receipt_id))
    return yes


@external
def draw():
    self.lot = block.prevrandao


@external
def burn():
    for i: uint256 in range(max_value(uint256)):
        self.decisions += i


@external
def tell() -> uint256:
    print("at", block.timestamp)
    return block.timestamp
