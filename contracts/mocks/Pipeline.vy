# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title Pipeline
@license Apache-2.0
@notice Asks an adding model in every way that a transaction can. For tests.
"""

from ..lib import inference

MAX_ASKED: constant(uint256) = 20

results: public(HashMap[uint256, int256])
count: public(uint256)
failed: public(bool)
failure: public(Bytes[36])
threshold: public(int256)


@deploy
@payable
def __init__(model_id: bytes32, inputs: DynArray[int256, 256], asks: bool):
    if asks:
        self._keep(model_id, inputs[0], inputs[1])


@external
def chained(model_id: bytes32, start: int256, steps: uint256):
    x: int256 = start
    for i: uint256 in range(steps, bound=MAX_ASKED):
        x = self._keep(model_id, x, 10**18)


@external
def several(model_id: bytes32, values: DynArray[int256, MAX_ASKED]):
    for x: int256 in values:
        self._keep(model_id, x, 10**18)


@external
def caught(model_id: bytes32, x: int256, assurance: uint8):
    inputs: DynArray[int256, 256] = [x, 10**18]
    success: bool = False
    answer: Bytes[36] = b""
    success, answer = raw_call(
        inference.PRECOMPILE,
        abi_encode(
            model_id, inputs, assurance, method_id=method_id("infer(bytes32,int256[],uint8)")
        ),
        max_outsize=36,
        gas=msg.gas // 2,
        revert_on_failure=False,
    )
    self.failed = not success
    self.failure = answer
    self.count += 1


@external
def caught_in(other: address, model_id: bytes32, x: int256):
    success: bool = raw_call(
        other,
        abi_encode(
            model_id, x, method_id=method_id("keep_and_revert(bytes32,int256)")
        ),
        max_outsize=0,
        gas=msg.gas // 2,
        revert_on_failure=False,
    )
    self.failed = not success
    self.count += 1


@external
def keep_and_revert(model_id: bytes32, x: int256):
    self._keep(model_id, x, 10**18)
    raise "pipeline: told to"


@external
def nested(others: DynArray[address, 4], model_id: bytes32, x: int256):
    if len(others) == 0:
        self._keep(model_id, x, 10**18)
        return
    rest: DynArray[address, 4] = []
    for i: uint256 in range(1, len(others), bound=4):
        rest.append(others[i])
    extcall Other(others[0]).nested(rest, model_id, x)


@external
@view
def look(model_id: bytes32, x: int256) -> int256:
    outputs: DynArray[int256, 64] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer_view(model_id, [x, 10**18], inference.SIGNED)
    return outputs[0]


@external
def static_in(other: address, model_id: bytes32, x: int256):
    self._note(staticcall Other(other).look(model_id, x))


@external
def branch(model_id: bytes32, x: int256):
    first: int256 = self._keep(model_id, x, 10**18)
    if first > self.threshold:
        self._keep(model_id, first, -(10**18))


@external
def set_threshold(threshold: int256):
    self.threshold = threshold


@external
def ask_threshold(model_id: bytes32):
    self._keep(model_id, self.threshold, 10**18)


interface Other:
    def nested(others: DynArray[address, 4], model_id: bytes32, x: int256): nonpayable
    def look(model_id: bytes32, x: int256) -> int256: view


@internal
def _keep(model_id: bytes32, first: int256, second: int256) -> int256:
    outputs: DynArray[int256, 64] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer(model_id, [first, second], inference.SIGNED)
    self._note(outputs[0])
    return outputs[0]


@internal
def _note(x: int256):
    self.results[self.count] = x
    self.count += 1
