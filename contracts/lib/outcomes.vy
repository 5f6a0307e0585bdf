# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title outcomes
@license Apache-2.0
@notice What a step of a request does to its word, to fees, bonds and credits, and what the consumer is told.
        Shared by Settlement and Disputes, which run on one storage; neither decides here whether a step is allowed.
"""

from ..interfaces import IOperatorRegistry
from ..interfaces import ISettlement
from . import accounts
from . import bundle
from . import callback
from . import requests
from . import tensor
from . import terms

uses: accounts
uses: requests

MAX_OUTPUTS: constant(uint256) = 64

OPEN: constant(uint8) = 1
DELIVERED: constant(uint8) = 2
DISPUTED: constant(uint8) = 3
FINAL: constant(uint8) = 4
UNDETERMINED: constant(uint8) = 5
EXPIRED: constant(uint8) = 6
CANCELLED: constant(uint8) = 7

NO_ASSURANCE: constant(uint8) = 0
SIGNED: constant(uint8) = 1
PROVEN: constant(uint8) = 4

# Classes with a seed are refused, so no request has one.
NO_SEED: constant(bytes32) = empty(bytes32)

operator_registry: public(immutable(address))
dispute_bond: public(immutable(uint256))

# Operators that were fined for a request already: keccak256 of request id and operator.
equivocations: HashMap[bytes32, bool]


@deploy
def __init__(operator_registry_: address, dispute_bond_: uint256):
    assert operator_registry_ != empty(address), "settlement: operator registry is zero"
    assert dispute_bond_ > 0, "settlement: dispute bond is zero"
    operator_registry = operator_registry_
    dispute_bond = dispute_bond_


### Checks


@internal
@view
def check_open(request: ISettlement.Request, word: uint256):
    assert requests.status(word) == OPEN, "settlement: request not open"
    assert block.timestamp <= convert(request.policy.deadline, uint256), "settlement: deadline has passed"


@internal
@pure
def check_delivery(word: uint256, delivery: ISettlement.Delivery):
    assert requests.payload(word) == requests.commitment(delivery), "settlement: another delivery"


# Size and range of an output; returns its hash. What is out of range could never be handed to a consumer.
@internal
@pure
def check_output(request: ISettlement.Request, outputs_q: DynArray[int256, MAX_OUTPUTS]) -> bytes32:
    assert len(outputs_q) == terms.output_size(request.terms), "settlement: wrong output size"
    for q: int256 in outputs_q:
        tensor.require_quantised(q)
    return tensor.hash_outputs(outputs_q)


@internal
@pure
def struct_hash(
    request: ISettlement.Request, request_id: bytes32, output_hash: bytes32, operator: address
) -> bytes32:
    return bundle.struct_hash(
        request_id, request.model_id, request.input_hash, output_hash, NO_SEED, operator
    )


@internal
@view
def check_signature(struct_hash: bytes32, signature: Bytes[65], signer: address):
    digest: bytes32 = bundle.typed_digest(self, struct_hash)
    assert bundle.recover(digest, signature) == signer, "settlement: not the operator's signature"


# Whether the deliverer owes a proof.
@internal
@pure
def promised(request: ISettlement.Request) -> bool:
    return request.policy.min_assurance > SIGNED


# Whether the requester has seen the output before it is final.
@internal
@pure
def shown_early(request: ISettlement.Request) -> bool:
    return request.policy.provisional or request.from_receipt


# What a delivery locks.
@internal
@view
def stake_of(request: ISettlement.Request) -> uint256:
    return request.policy.value_at_risk + dispute_bond


### Effects


@internal
def store(request_id: bytes32, status: uint8, assurance: uint8, delivery: ISettlement.Delivery):
    requests.words[request_id] = requests.pack(status, assurance, 0, requests.commitment(delivery))


# A signed output becomes final when nobody has challenged it in time, unless a proof was promised.
@internal
def store_delivered(
    request: ISettlement.Request, request_id: bytes32, assurance: uint8, delivery: ISettlement.Delivery
):
    final_at: uint256 = 0
    if not self.promised(request):
        final_at = block.timestamp + terms.challenge_window(request.terms)
    requests.words[request_id] = requests.pack(
        DELIVERED, assurance, final_at, requests.commitment(delivery)
    )


# An end without any output.
@internal
def close(request_id: bytes32, status: uint8):
    requests.words[request_id] = requests.pack(status, NO_ASSURANCE, 0, 0)


# The fee goes to the operator whose output is final; if it is nobody's (zero), back to the requester.
@internal
def finalise(
    request: ISettlement.Request, request_id: bytes32, assurance: uint8, delivery: ISettlement.Delivery
):
    self.store(request_id, FINAL, assurance, delivery)
    log ISettlement.Finalised(
        request_id=request_id,
        operator=delivery.operator,
        output_hash=delivery.output_hash,
        assurance=assurance,
    )
    fee: uint256 = request.fee + delivery.raised_fee
    if delivery.operator == empty(address):
        self.refund(request_id, request.requester, fee)
    else:
        accounts.add(delivery.operator, fee)
        log ISettlement.FeePaid(request_id=request_id, operator=delivery.operator, amount=fee)


@internal
def refund(request_id: bytes32, requester: address, fee: uint256):
    accounts.add(requester, fee)
    log ISettlement.Refunded(request_id=request_id, to=requester, amount=fee)


@internal
def lock(operator: address, amount: uint256) -> address:
    return extcall IOperatorRegistry(operator_registry).lock(operator, amount)


@internal
def unlock(operator: address, amount: uint256):
    extcall IOperatorRegistry(operator_registry).unlock(operator, amount)


### Callbacks: always the last thing that a function does


@internal
def notify(
    request: ISettlement.Request,
    request_id: bytes32,
    kind: uint8,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    number: uint256,
):
    if request.policy.callback_gas == 0 or not request.requester.is_contract:
        return
    if not self.call_back(request, request_id, kind, outputs_q, number, True):
        requests.set_failed_callback(request_id, kind)
        log ISettlement.CallbackFailed(request_id=request_id, kind=kind)


@internal
def call_back(
    request: ISettlement.Request,
    request_id: bytes32,
    kind: uint8,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    number: uint256,
    exact_gas: bool,
) -> bool:
    outputs: DynArray[int256, MAX_OUTPUTS] = tensor.dequantise(
        outputs_q, terms.output_scale(request.terms)
    )
    data: Bytes[callback.MAX_CALLDATA] = callback.encode(kind, request_id, outputs, number)
    gas: uint256 = convert(request.policy.callback_gas, uint256)
    return callback.send(request.requester, data, gas, exact_gas)
