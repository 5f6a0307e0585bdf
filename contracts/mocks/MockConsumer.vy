# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title MockConsumer
@license Apache-2.0
@notice Records the callbacks that it gets, and misbehaves when told to. For tests.
"""

from ..interfaces import IInferenceConsumer

implements: IInferenceConsumer

RECORD: constant(uint8) = 0
REVERT: constant(uint8) = 1
BURN: constant(uint8) = 2
REENTER: constant(uint8) = 3

struct Call:
    kind: uint8
    request_id: bytes32
    outputs: DynArray[int256, 64]
    number: uint256
    gas_left: uint256

mode: public(uint8)
refuses_ether: public(bool)
calls: DynArray[Call, 16]
target: address
payload: Bytes[20000]
reentry_succeeded: public(bool)
reentry_answer: public(Bytes[32])


@external
@payable
def __default__():
    assert not self.refuses_ether
    if self.mode == REENTER:
        self._reenter()


@external
def set_mode(mode: uint8):
    self.mode = mode


@external
def set_refuses_ether(refuses: bool):
    self.refuses_ether = refuses


@external
def set_reentry(target: address, payload: Bytes[20000]):
    self.mode = REENTER
    self.target = target
    self.payload = payload


@external
@payable
def execute(target: address, payload: Bytes[20000]) -> Bytes[1024]:
    return raw_call(target, payload, value=msg.value, gas=msg.gas, max_outsize=1024)


@external
def on_inference(request_id: bytes32, outputs: DynArray[int256, 64], assurance: uint8):
    self._act(1, request_id, outputs, convert(assurance, uint256))


@external
def on_inference_final(request_id: bytes32, outputs: DynArray[int256, 64], assurance: uint8):
    self._act(2, request_id, outputs, convert(assurance, uint256))


@external
def on_inference_reversed(request_id: bytes32, outputs: DynArray[int256, 64], compensation: uint256):
    self._act(3, request_id, outputs, compensation)


@external
@view
def recorded() -> DynArray[Call, 16]:
    return self.calls


@internal
def _act(kind: uint8, request_id: bytes32, outputs: DynArray[int256, 64], number: uint256):
    gas_left: uint256 = msg.gas
    assert self.mode != REVERT
    if self.mode == BURN:
        for i: uint256 in range(2**128):
            pass
    if self.mode == REENTER:
        self._reenter()
    self.calls.append(
        Call(kind=kind, request_id=request_id, outputs=outputs, number=number, gas_left=gas_left)
    )


@internal
def _reenter():
    self.reentry_succeeded, self.reentry_answer = raw_call(
        self.target, self.payload, gas=msg.gas, max_outsize=32, revert_on_failure=False
    )
