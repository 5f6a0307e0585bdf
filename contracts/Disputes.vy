# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Disputes
@license Apache-2.0
@author Foretell
@notice The part of Settlement that decides who is right: proofs, challenges, overdue proofs, equivocation.
@dev Code alone: Settlement runs it on its own storage and in its own name, because one contract has no room for both.
     The storage and the lock of the two are the same modules in the same order, and a test compares their layouts.
     Called directly it finds no request, and nothing can be sent to it. A failed call of a verifier reverts and is
     never held against anybody.
@custom:invariant Nothing is slashed but for an accepted proof, an overdue one, or two signatures of one key.
@custom:security Trusts the operator registry and the circuit verifier given at deployment.
"""

from interfaces import ICircuitVerifier
from interfaces import IDisputes
from interfaces import IOperatorRegistry
from interfaces import ISettlement
from lib import accounts
from lib import bundle
from lib import callback
from lib import outcomes
from lib import requests
from lib import tensor
from lib import terms

implements: IDisputes

# In the order of Settlement.
initializes: accounts
initializes: requests
initializes: outcomes[accounts := accounts, requests := requests]

exports: (outcomes.dispute_bond, outcomes.operator_registry)

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
MAX_PROOF_BYTES: constant(uint256) = 16384

circuit_verifier: public(immutable(address))


@deploy
def __init__(operator_registry_: address, circuit_verifier_: address, dispute_bond_: uint256):
    """
    @param operator_registry_ OperatorRegistry of the Settlement that will run this code.
    @param circuit_verifier_ CircuitVerifier.
    @param dispute_bond_ Wei that each side of a dispute stakes.
    """
    assert circuit_verifier_ != empty(address), "settlement: circuit verifier is zero"
    outcomes.__init__(operator_registry_, dispute_bond_)
    circuit_verifier = circuit_verifier_


### Operators, and anyone who carries their signatures and proofs


@external
def deliver_proven(
    request: ISettlement.Request,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    operator: address,
    signature: Bytes[65],
    proof: Bytes[MAX_PROOF_BYTES],
):
    """
    @notice Deliver and prove in one transaction: the request is final, and nothing is locked.
    @dev Until the deadline (inclusive). The signature says who is paid, so a copied proof pays its owner.
    @param request An OPEN request.
    @param inputs_q Quantised inputs of the request.
    @param outputs_q Quantised outputs.
    @param operator Registered operator whose key signed.
    @param signature EIP-712 signature of the bundle for Settlement.
    @param proof Proof that the model maps these inputs to these outputs.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    outcomes.check_open(request, word)
    output_hash: bytes32 = outcomes.check_output(request, outputs_q)
    registry: IOperatorRegistry = IOperatorRegistry(outcomes.operator_registry)
    signer: address = staticcall registry.signer_of(operator)
    struct_hash: bytes32 = outcomes.struct_hash(request, request_id, output_hash, operator)
    outcomes.check_signature(struct_hash, signature, signer)
    self._check_proof(request, inputs_q, outputs_q, proof)

    delivery: ISettlement.Delivery = ISettlement.Delivery(
        operator=operator,
        output_hash=output_hash,
        delivered_at=convert(block.timestamp, uint64),
        raised_fee=requests.payload(word),
        challenger=empty(address),
        challenger_output_hash=empty(bytes32),
        disputed_at=0,
        compensation=0,
    )
    log ISettlement.Delivered(
        request_id=request_id,
        operator=operator,
        outputs_q=outputs_q,
        delivered_at=delivery.delivered_at,
    )
    log ISettlement.Proven(request_id=request_id, output_hash=output_hash, outputs_q=outputs_q)
    outcomes.finalise(request, request_id, outcomes.PROVEN, delivery)
    self._notify_final(request, request_id, outputs_q)


@external
def challenge(
    request: ISettlement.Request,
    delivery: ISettlement.Delivery,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    operator: address,
    signature: Bytes[65],
):
    """
    @notice Put a different output against the delivered one. A proof decides; the wrong side is slashed.
    @dev Before the end of the challenge window (exclusive), and of the proof window if a proof was promised.
         The operator who signed is paid and liable, whoever carries it: a copied challenge gains nothing.
    @param request A DELIVERED request.
    @param delivery Its delivery.
    @param outputs_q Quantised outputs, different from the delivered ones.
    @param operator Registered operator whose key signed; not the one who delivered.
    @param signature EIP-712 signature of the bundle for Settlement.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    assert requests.status(word) == outcomes.DELIVERED, "settlement: nothing to challenge"
    outcomes.check_delivery(word, delivery)
    delivered_at: uint256 = convert(delivery.delivered_at, uint256)
    window_end: uint256 = delivered_at + terms.challenge_window(request.terms)
    assert block.timestamp < window_end, "settlement: challenge window is over"
    if outcomes.promised(request):
        self._check_window(delivery.delivered_at, request)
    assert operator != delivery.operator, "settlement: operator delivered it"
    output_hash: bytes32 = outcomes.check_output(request, outputs_q)
    assert output_hash != delivery.output_hash, "settlement: outputs are the same"
    signer: address = outcomes.lock(operator, outcomes.dispute_bond)
    struct_hash: bytes32 = outcomes.struct_hash(request, request_id, output_hash, operator)
    outcomes.check_signature(struct_hash, signature, signer)

    disputed: ISettlement.Delivery = delivery
    disputed.challenger = operator
    disputed.challenger_output_hash = output_hash
    disputed.disputed_at = convert(block.timestamp, uint64)
    outcomes.store(request_id, outcomes.DISPUTED, outcomes.NO_ASSURANCE, disputed)
    log ISettlement.Challenged(
        request_id=request_id,
        operator=operator,
        outputs_q=outputs_q,
        disputed_at=disputed.disputed_at,
    )


@external
def prove(
    request: ISettlement.Request,
    delivery: ISettlement.Delivery,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    proof: Bytes[MAX_PROOF_BYTES],
):
    """
    @notice Settle a delivered or disputed request with a proof. Anyone may carry it; nobody is paid for that.
    @dev Within the proof window (inclusive), counted from the challenge if there is one, else from the delivery
         if a proof was promised; otherwise until the result is final by time (exclusive). A delivered output can
         only be confirmed: contradict it by a challenge.
    @param request A DELIVERED or DISPUTED request.
    @param delivery Its delivery.
    @param inputs_q Quantised inputs of the request.
    @param outputs_q Quantised outputs.
    @param proof Proof that the model maps these inputs to these outputs.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    output_hash: bytes32 = tensor.hash_outputs(outputs_q)
    disputed: bool = requests.status(word) == outcomes.DISPUTED
    if disputed:
        outcomes.check_delivery(word, delivery)
        self._check_window(delivery.disputed_at, request)
    else:
        assert requests.status(word) == outcomes.DELIVERED, "settlement: nothing to prove"
        outcomes.check_delivery(word, delivery)
        assert output_hash == delivery.output_hash, "settlement: another output was delivered"
        if outcomes.promised(request):
            self._check_window(delivery.delivered_at, request)
        else:
            assert block.timestamp < requests.final_at(word), "settlement: result is final"
    self._check_proof(request, inputs_q, outputs_q, proof)

    log ISettlement.Proven(request_id=request_id, output_hash=output_hash, outputs_q=outputs_q)
    if output_hash == delivery.output_hash:
        outcomes.finalise(request, request_id, outcomes.PROVEN, delivery)
        if disputed:
            self._slash(request_id, delivery.challenger, outcomes.dispute_bond, delivery.operator)
        outcomes.unlock(delivery.operator, outcomes.stake_of(request))
        self._notify_final(request, request_id, outputs_q)
    else:
        compensation: uint256 = self._overturn(request, request_id, delivery, output_hash)
        if outcomes.shown_early(request):
            outcomes.notify(
                request, request_id, callback.ON_INFERENCE_REVERSED, outputs_q, compensation
            )
        else:
            self._notify_final(request, request_id, outputs_q)


### Anyone


@external
def expire(request: ISettlement.Request, delivery: ISettlement.Delivery):
    """
    @notice End a request whose time is over. The requester gets its fee back.
    @dev OPEN after its deadline: nobody is at fault. DELIVERED with a promised proof after the proof window: the
         deliverer is slashed. DISPUTED after the proof window: nothing is determined, and the deliverer, on whom
         the burden of proof lies, is slashed. All bounds exclusive.
    @param request An OPEN, DELIVERED or DISPUTED request.
    @param delivery Its delivery; not read for an OPEN request.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    status: uint8 = requests.status(word)
    if status == outcomes.OPEN:
        deadline: uint256 = convert(request.policy.deadline, uint256)
        assert block.timestamp > deadline, "settlement: not expired"
        outcomes.close(request_id, outcomes.EXPIRED)
        log ISettlement.Expired(request_id=request_id)
        outcomes.refund(request_id, request.requester, request.fee + requests.payload(word))
        return

    started_at: uint64 = delivery.disputed_at
    if status == outcomes.DELIVERED:
        assert outcomes.promised(request), "settlement: no proof was promised"
        started_at = delivery.delivered_at
    else:
        assert status == outcomes.DISPUTED, "settlement: nothing to expire"
    outcomes.check_delivery(word, delivery)
    assert block.timestamp > self._window_end(started_at, request), "settlement: not expired"
    self._fail(request, request_id, delivery, status == outcomes.DISPUTED)


@external
def equivocate(
    request: ISettlement.Request,
    operator: address,
    first: IDisputes.Statement,
    second: IDisputes.Statement,
):
    """
    @notice Show two signatures of one operator over different outputs for one request: the operator is fined, once
            for each request, whatever becomes of the request.
    @dev The fine is at most the dispute bond, out of the bond that stands behind no request. Half goes to the
         requester, half to the caller, so nobody gets its own fine back by showing it first.
    @param request A request, in any status.
    @param operator Operator whose registered key signed both.
    @param first One output.
    @param second Another one.
    """
    request_id: bytes32 = requests.id_of(request)
    assert requests.words[request_id] != 0, "settlement: unknown request"
    assert first.output_hash != second.output_hash, "settlement: outputs are the same"
    registry: IOperatorRegistry = IOperatorRegistry(outcomes.operator_registry)
    signer: address = staticcall registry.key_of(operator)
    self._check_statement(request, request_id, operator, first, signer)
    self._check_statement(request, request_id, operator, second, signer)
    case_id: bytes32 = keccak256(abi_encode(request_id, operator))
    assert not outcomes.equivocations[case_id], "settlement: fined already"

    outcomes.equivocations[case_id] = True
    log ISettlement.Equivocated(
        request_id=request_id,
        operator=operator,
        reporter=msg.sender,
        first_output_hash=first.output_hash,
        second_output_hash=second.output_hash,
    )
    fined: uint256 = extcall registry.fine(operator, outcomes.dispute_bond)
    self._credit(request_id, operator, fined - fined // 2, request.requester)
    self._credit(request_id, operator, fined // 2, msg.sender)


### Checks


@internal
@view
def _check_proof(
    request: ISettlement.Request,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    proof: Bytes[MAX_PROOF_BYTES],
):
    assert tensor.hash_inputs(inputs_q) == request.input_hash, "settlement: another input was asked"
    verifier: ICircuitVerifier = ICircuitVerifier(circuit_verifier)
    accepted: bool = staticcall verifier.verify(request.model_id, inputs_q, outputs_q, proof)
    assert accepted, "settlement: proof rejected"


@internal
@view
def _check_statement(
    request: ISettlement.Request,
    request_id: bytes32,
    operator: address,
    statement: IDisputes.Statement,
    signer: address,
):
    struct_hash: bytes32 = outcomes.struct_hash(request, request_id, statement.output_hash, operator)
    if len(statement.struct_hashes) > 0:
        assert statement.position < len(statement.struct_hashes), "settlement: not in the batch"
        member: bytes32 = statement.struct_hashes[statement.position]
        assert member == struct_hash, "settlement: not in the batch"
        struct_hash = bundle.batch_hash(statement.struct_hashes)
    outcomes.check_signature(struct_hash, statement.signature, signer)


@internal
@view
def _window_end(started_at: uint64, request: ISettlement.Request) -> uint256:
    return convert(started_at, uint256) + terms.proof_window(request.terms)


@internal
@view
def _check_window(started_at: uint64, request: ISettlement.Request):
    window_end: uint256 = self._window_end(started_at, request)
    assert block.timestamp <= window_end, "settlement: proof window is over"


### Effects


# The proven output is not the delivered one. The requester is paid first: the value at risk. A challenger who was
# right gets the fee and the other's dispute bond; one who was wrong too loses its own to the requester.
@internal
def _overturn(
    request: ISettlement.Request,
    request_id: bytes32,
    disputed: ISettlement.Delivery,
    right_hash: bytes32,
) -> uint256:
    delivery: ISettlement.Delivery = disputed
    delivery.output_hash = right_hash
    delivery.compensation = request.policy.value_at_risk
    if disputed.challenger_output_hash == right_hash:
        delivery.operator = disputed.challenger
        outcomes.finalise(request, request_id, outcomes.PROVEN, delivery)
        self._slash(request_id, disputed.operator, delivery.compensation, request.requester)
        self._slash(request_id, disputed.operator, outcomes.dispute_bond, disputed.challenger)
        outcomes.unlock(disputed.challenger, outcomes.dispute_bond)
    else:
        delivery.operator = empty(address)
        delivery.compensation += 2 * outcomes.dispute_bond
        outcomes.finalise(request, request_id, outcomes.PROVEN, delivery)
        self._slash(request_id, disputed.operator, outcomes.stake_of(request), request.requester)
        self._slash(request_id, disputed.challenger, outcomes.dispute_bond, request.requester)
    self._reversed(request_id, disputed.output_hash, delivery)
    return delivery.compensation


# The deliverer did not prove in time: no output stands.
@internal
def _fail(
    request: ISettlement.Request,
    request_id: bytes32,
    failed: ISettlement.Delivery,
    disputed: bool,
):
    delivery: ISettlement.Delivery = failed
    delivery.operator = empty(address)
    delivery.output_hash = empty(bytes32)
    delivery.compensation = request.policy.value_at_risk
    if disputed:
        outcomes.store(request_id, outcomes.UNDETERMINED, outcomes.NO_ASSURANCE, delivery)
        log ISettlement.Undetermined(request_id=request_id)
        self._slash(request_id, failed.operator, delivery.compensation, request.requester)
        self._slash(request_id, failed.operator, outcomes.dispute_bond, failed.challenger)
        outcomes.unlock(failed.challenger, outcomes.dispute_bond)
    else:
        delivery.compensation += outcomes.dispute_bond
        outcomes.store(request_id, outcomes.EXPIRED, outcomes.NO_ASSURANCE, delivery)
        log ISettlement.Expired(request_id=request_id)
        self._slash(request_id, failed.operator, delivery.compensation, request.requester)
    outcomes.refund(request_id, request.requester, request.fee + failed.raised_fee)
    self._reversed(request_id, failed.output_hash, delivery)
    if outcomes.shown_early(request):
        outcomes.notify(
            request, request_id, callback.ON_INFERENCE_REVERSED, [], delivery.compensation
        )


@internal
def _reversed(request_id: bytes32, wrong_hash: bytes32, delivery: ISettlement.Delivery):
    log ISettlement.Reversed(
        request_id=request_id,
        wrong_output_hash=wrong_hash,
        right_output_hash=delivery.output_hash,
        compensation=delivery.compensation,
    )


@internal
def _slash(request_id: bytes32, operator: address, amount: uint256, to: address):
    self._credit(request_id, operator, amount, to)
    extcall IOperatorRegistry(outcomes.operator_registry).slash(operator, amount)


@internal
def _credit(request_id: bytes32, operator: address, amount: uint256, to: address):
    accounts.add(to, amount)
    log ISettlement.Slashed(request_id=request_id, operator=operator, to=to, amount=amount)


### Callbacks: always the last thing that a function does


@internal
def _notify_final(
    request: ISettlement.Request,
    request_id: bytes32,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
):
    proven: uint256 = convert(outcomes.PROVEN, uint256)
    outcomes.notify(request, request_id, callback.ON_INFERENCE_FINAL, outputs_q, proven)
