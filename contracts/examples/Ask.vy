# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Ask
@license Apache-2.0
@author Foretell
@notice A neutral consumer for any model: asks through the precompile at a chosen assurance, insured, or later by a
        callback, and keeps the outputs. Read it to see how each way is done.
@custom:invariant A stored answer is final only if Settlement or a PROVEN receipt said so.
"""

from ..interfaces import IInferenceConsumer
from ..interfaces import ISettlement
from ..lib import assured
from ..lib import inference
from ..lib import inference_consumer

implements: IInferenceConsumer

initializes: inference_consumer
initializes: assured[inference_consumer := inference_consumer]

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64

WAITING: constant(uint8) = 1
PROVISIONAL: constant(uint8) = 2
FINAL: constant(uint8) = 3
REVERSED: constant(uint8) = 4

event Answered:
    id: indexed(bytes32)           # receipt, or request when settled
    state: uint8
    assurance: uint8
    outputs: DynArray[int256, MAX_OUTPUTS]

# Outputs are WAD.
struct Answer:
    state: uint8                   # 0 none, 1 waiting, 2 provisional, 3 final, 4 reversed
    assurance: uint8
    compensation: uint256          # wei
    outputs: DynArray[int256, MAX_OUTPUTS]

owner: public(immutable(address))

_answers: HashMap[bytes32, Answer]
last_id: public(bytes32)


@deploy
def __init__(settlement: address):
    """
    @param settlement Settlement.
    """
    inference_consumer.__init__(settlement)
    owner = msg.sender


# Reentrant: Settlement sends while this contract withdraws.
@external
@payable
@reentrant
def __default__():
    inference_consumer.check_payment()


@external
def ask(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> DynArray[int256, MAX_OUTPUTS]:
    """
    @notice Ask the precompile; the answer is there when the transaction is in a block.
    @dev With PROVEN the answer is final and there is no trust gap; with less it stays provisional.
    @param model_id Model.
    @param inputs WAD inputs.
    @param min_assurance What the answer must be worth.
    @return WAD outputs.
    """
    outputs: DynArray[int256, MAX_OUTPUTS] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer(model_id, inputs, min_assurance)
    assured.require_assurance(receipt_id, min_assurance)
    self._store_receipt(receipt_id, receipt_id, outputs)
    return outputs


@external
def ask_open(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> DynArray[int256, MAX_OUTPUTS]:
    """
    @notice Ask a model that may have no one correct output. The answer stays provisional for good.
    @dev The assurance says who answered, not that the answer is right: nothing can show that it is wrong.
    @param model_id Model of any class.
    @param inputs WAD inputs.
    @param min_assurance How sure it must be who answered.
    @return WAD outputs.
    """
    outputs: DynArray[int256, MAX_OUTPUTS] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer_open(model_id, inputs, min_assurance)
    assured.require_assurance(receipt_id, min_assurance)
    self._store_receipt(receipt_id, receipt_id, outputs)
    return outputs


@external
@payable
def ask_insured(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8, value_at_risk: uint256
) -> bytes32:
    """
    @notice Ask the precompile and insure the answer. The ether sent is the operator's fee.
    @dev Reverts when the operator's bond does not cover the value at risk.
    @param model_id Model.
    @param inputs WAD inputs.
    @param min_assurance What the answer must be worth.
    @param value_at_risk Wei that this contract gets if the answer does not stand.
    @return The request id.
    """
    outputs: DynArray[int256, MAX_OUTPUTS] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer(model_id, inputs, min_assurance)
    request_id: bytes32 = assured.insure(receipt_id, model_id, inputs, value_at_risk, msg.value)
    self._store_receipt(request_id, receipt_id, outputs)
    return request_id


@external
@payable
def ask_later(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], policy: ISettlement.Policy
) -> bytes32:
    """
    @notice Ask asynchronously, on any chain. The ether sent is the operator's fee.
    @param model_id Model.
    @param inputs WAD inputs.
    @param policy What the answer must be worth, by when, and how it is handed over.
    @return The request id.
    """
    request_id: bytes32 = inference_consumer.request(model_id, inputs, policy, msg.value)
    self._store(request_id, WAITING, 0, [])
    return request_id


@external
@view
def peek(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], min_assurance: uint8
) -> DynArray[int256, MAX_OUTPUTS]:
    """
    @notice Ask the precompile without storing anything.
    @param model_id Model.
    @param inputs WAD inputs.
    @param min_assurance What the answer must be worth.
    @return WAD outputs.
    """
    outputs: DynArray[int256, MAX_OUTPUTS] = []
    receipt_id: bytes32 = empty(bytes32)
    outputs, receipt_id = inference.infer_view(model_id, inputs, min_assurance)
    return outputs


@external
def collect() -> uint256:
    """
    @notice Fetch refunds and compensations from Settlement and send them to the owner.
    @dev Only the owner.
    @return Wei sent.
    """
    assert msg.sender == owner, "ask: only the owner"
    amount: uint256 = inference_consumer.collect()
    raw_call(owner, b"", value=amount, gas=msg.gas, max_outsize=0)
    return amount


### Settlement


@external
def on_inference(request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], assurance: uint8):
    """
    @notice Keep a provisional answer.
    @dev Only Settlement.
    @param request_id The request.
    @param outputs WAD outputs.
    @param assurance What they are worth.
    """
    inference_consumer.check_callback()
    self._store(request_id, PROVISIONAL, assurance, outputs)


@external
def on_inference_final(request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], assurance: uint8):
    """
    @notice Keep a final answer.
    @dev Only Settlement.
    @param request_id The request.
    @param outputs WAD outputs.
    @param assurance What they are worth.
    """
    inference_consumer.check_callback()
    assured.release(request_id)
    self._store(request_id, FINAL, assurance, outputs)


@external
def on_inference_reversed(
    request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS], compensation: uint256
):
    """
    @notice Replace an answer that does not stand.
    @dev Only Settlement.
    @param request_id The request.
    @param outputs The right WAD outputs, or nothing.
    @param compensation Wei credited in Settlement; `collect` fetches them.
    """
    inference_consumer.check_callback()
    assured.release(request_id)
    self._answers[request_id].compensation = compensation
    assurance: uint8 = 0
    if len(outputs) > 0:
        assurance = inference.PROVEN
    self._store(request_id, REVERSED, assurance, outputs)


### Views


@external
@view
def answer_of(id: bytes32) -> Answer:
    """
    @notice A stored answer.
    @param id Receipt id of `ask`, request id of the others.
    @return State, assurance, compensation, outputs.
    """
    return self._answers[id]


@external
@view
def total_exposure() -> uint256:
    """
    @notice Wei that answers which are not final put at risk.
    @return The sum of what is insured.
    """
    return assured.total_exposure


@internal
def _store_receipt(id: bytes32, receipt_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS]):
    assurance: uint8 = inference.assurance_of(receipt_id)
    state: uint8 = PROVISIONAL
    if assurance == inference.PROVEN:
        state = FINAL
    self._store(id, state, assurance, outputs)


@internal
def _store(id: bytes32, state: uint8, assurance: uint8, outputs: DynArray[int256, MAX_OUTPUTS]):
    self._answers[id].state = state
    self._answers[id].assurance = assurance
    self._answers[id].outputs = outputs
    self.last_id = id
    log Answered(id=id, state=state, assurance=assurance, outputs=outputs)
