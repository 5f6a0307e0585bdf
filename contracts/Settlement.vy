# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Settlement
@license Apache-2.0
@author Foretell
@notice The on-chain life of a request: escrow, delivery, challenge, proof, finality, refund, slash, callback.
        Results of the precompile (receipts) and asynchronous requests share one history and one set of views.
@dev OPEN -> DELIVERED -> FINAL is the normal path; docs/spec/settlement.md draws all of them. Nobody has powers
     over it. Payments are pulled. A failed call of a verifier reverts and is never held against anybody.
@custom:invariant The balance is at least the fees of open, delivered and disputed requests plus all credits.
                  A request leaves OPEN once, and FINAL, UNDETERMINED, EXPIRED and CANCELLED never.
                  A fee is paid or refunded exactly once.
                  An operator's locked bond is the sum of the locks of its delivered and disputed requests.
@custom:security Trusts the registries, the circuit verifier and the precompile given at deployment. The classes
                 whose disputes a proof does not decide are refused.
"""

from interfaces import ICircuitVerifier
from interfaces import IInference
from interfaces import IModelRegistry
from interfaces import IOperatorRegistry
from interfaces import ISettlement
from lib import bundle
from lib import callback
from lib import credits
from lib import divergence
from lib import records
from lib import tensor

implements: ISettlement

initializes: credits
initializes: records

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
MAX_PROOF_BYTES: constant(uint256) = 16384

REQUEST_TYPEHASH: constant(bytes32) = keccak256(
    "Request(uint256 chain_id,address settlement,address requester,uint256 nonce,bytes32 model_id,bytes32 input_hash)"
)
# Classes with a seed are refused, so no request has one.
NO_SEED: constant(bytes32) = empty(bytes32)

# Bounds what a delivery, which the operator pays for, can be made to cost.
MAX_CALLBACK_GAS: constant(uint32) = 1_000_000
RECEIPT_CALLBACK_GAS: constant(uint32) = 200_000

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

model_registry: public(immutable(address))
operator_registry: public(immutable(address))
circuit_verifier: public(immutable(address))
precompile: public(immutable(address))
dispute_bond: public(immutable(uint256))
cancel_delay: public(immutable(uint256))

_nonces: HashMap[address, uint256]


@deploy
def __init__(
    model_registry_: address,
    operator_registry_: address,
    circuit_verifier_: address,
    precompile_: address,
    dispute_bond_: uint256,
    cancel_delay_: uint256,
):
    """
    @param model_registry_ ModelRegistry.
    @param operator_registry_ OperatorRegistry that names this contract as its settlement.
    @param circuit_verifier_ CircuitVerifier.
    @param precompile_ Inference precompile; zero on a chain without one.
    @param dispute_bond_ Wei that each side of a dispute stakes.
    @param cancel_delay_ Seconds before a requester may cancel.
    """
    assert model_registry_ != empty(address), "settlement: model registry is zero"
    assert operator_registry_ != empty(address), "settlement: operator registry is zero"
    assert circuit_verifier_ != empty(address), "settlement: circuit verifier is zero"
    assert dispute_bond_ > 0, "settlement: dispute bond is zero"
    model_registry = model_registry_
    operator_registry = operator_registry_
    circuit_verifier = circuit_verifier_
    precompile = precompile_
    dispute_bond = dispute_bond_
    cancel_delay = cancel_delay_


# Reentrant: slashed bonds arrive while a settlement holds the lock.
@external
@payable
@reentrant
def __default__():
    assert msg.sender == operator_registry, "settlement: only bonds arrive like this"


### Requesters


@external
@payable
def request(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], policy: ISettlement.Policy
) -> bytes32:
    """
    @notice Ask for an inference. The ether sent is the operator's fee, held until the request is settled.
    @dev The id binds chain, contract, requester, nonce, model and input.
    @param model_id An open model of class CIRCUIT.
    @param inputs WAD inputs, quantised here.
    @param policy What the result must be worth, by when, and how it is handed over.
    @return The request id.
    """
    assert policy.min_assurance >= SIGNED, "settlement: assurance out of range"
    assert policy.min_assurance <= PROVEN, "settlement: assurance out of range"
    assert policy.callback_gas <= MAX_CALLBACK_GAS, "settlement: callback gas too high"
    assert convert(policy.deadline, uint256) > block.timestamp, "settlement: deadline has passed"
    inputs_q: DynArray[int256, MAX_INPUTS] = self._admit(model_id, inputs)

    request_id: bytes32 = self._open(
        model_id,
        tensor.hash_inputs(inputs_q),
        records.Head(
            requester=msg.sender,
            status=OPEN,
            assurance=NO_ASSURANCE,
            min_assurance=policy.min_assurance,
            provisional=policy.provisional,
            from_receipt=False,
            failed_callback=0,
            callback_gas=policy.callback_gas,
        ),
        policy.deadline,
        policy.value_at_risk,
    )
    log ISettlement.Requested(
        request_id=request_id,
        model_id=model_id,
        requester=msg.sender,
        inputs_q=inputs_q,
        policy=policy,
        fee=msg.value,
    )
    return request_id


@external
@payable
def settle_receipt(
    receipt_id: bytes32, model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], value_at_risk: uint256
) -> bytes32:
    """
    @notice Take a result of the precompile into settlement, insured: until it is final, `value_at_risk` of its
            operator's bond stands behind it. The ether sent is the operator's fee.
    @dev Only in the block of the inference. A proven result is final at once and locks nothing.
    @param receipt_id Receipt that the precompile returned.
    @param model_id Model that was asked.
    @param inputs WAD inputs that were given; the contract quantises them and compares the hash.
    @param value_at_risk Wei that the caller gets if the result does not stand.
    @return The request id.
    """
    receipt: IInference.Receipt = staticcall IInference(precompile).receipt(receipt_id)
    assert convert(receipt.block_number, uint256) == block.number, "settlement: receipt not of this block"
    assert receipt.model_id == model_id, "settlement: receipt of another model"
    inputs_q: DynArray[int256, MAX_INPUTS] = self._admit(model_id, inputs)
    assert receipt.input_hash == tensor.hash_inputs(inputs_q), "settlement: receipt of another input"

    request_id: bytes32 = self._open(
        model_id,
        receipt.input_hash,
        records.Head(
            requester=msg.sender,
            status=DELIVERED,
            assurance=receipt.assurance,
            min_assurance=SIGNED,
            provisional=False,
            from_receipt=True,
            failed_callback=0,
            callback_gas=RECEIPT_CALLBACK_GAS,
        ),
        convert(block.timestamp, uint64),
        value_at_risk,
    )
    self._set_delivered(request_id, receipt.operator, receipt.output_hash)
    log ISettlement.ReceiptSettled(
        request_id=request_id,
        model_id=model_id,
        requester=msg.sender,
        receipt_id=receipt_id,
        inputs_q=inputs_q,
        operator=receipt.operator,
        output_hash=receipt.output_hash,
        assurance=receipt.assurance,
        value_at_risk=value_at_risk,
        fee=msg.value,
    )
    if receipt.assurance == PROVEN:
        self._finalise(request_id, receipt.operator, receipt.output_hash, PROVEN)
    else:
        extcall IOperatorRegistry(operator_registry).lock(receipt.operator, value_at_risk + dispute_bond)
    return request_id


@external
def cancel(request_id: bytes32):
    """
    @notice Take back a request that nobody has delivered, and its fee.
    @dev Only its requester, from `cancel_delay` seconds after the request on (inclusive), so that an operator
         who has started to work is not cheated.
    @param request_id An OPEN request.
    """
    head: records.Head = records.head_of(request_id)
    assert head.status == OPEN, "settlement: request not open"
    assert head.requester == msg.sender, "settlement: only the requester"
    created_at: uint256 = convert(records.times_of(request_id).created_at, uint256)
    assert block.timestamp >= created_at + cancel_delay, "settlement: too early to cancel"

    self._set_status(request_id, CANCELLED, NO_ASSURANCE)
    log ISettlement.Cancelled(request_id=request_id)
    self._refund(request_id, head.requester)


@external
def withdraw() -> uint256:
    """
    @notice Send the caller its credit.
    @dev The credit is cleared before the ether leaves.
    @return Wei sent.
    """
    amount: uint256 = credits.take(msg.sender)
    log ISettlement.Withdrawn(account=msg.sender, amount=amount)
    raw_call(msg.sender, b"", value=amount, gas=msg.gas, max_outsize=0)
    return amount


### Operators, and anyone who carries their signatures and proofs


@external
def deliver(
    request_id: bytes32, outputs_q: DynArray[int256, MAX_OUTPUTS], operator: address, signature: Bytes[65]
):
    """
    @notice Deliver an output that an operator signed. Anyone may carry it; the operator is paid and liable.
    @dev Until the deadline (inclusive). Locks value at risk and dispute bond of the operator.
    @param request_id An OPEN request.
    @param outputs_q Quantised outputs.
    @param operator Registered operator whose key signed.
    @param signature EIP-712 signature of the bundle for this contract.
    """
    head: records.Head = self._check_deliverable(request_id)
    terms: IModelRegistry.Terms = self._terms_of(request_id)
    output_hash: bytes32 = self._check_output(request_id, terms, outputs_q, operator, signature)

    self._set_status(request_id, DELIVERED, SIGNED)
    self._set_delivered(request_id, operator, output_hash)
    log ISettlement.Delivered(
        request_id=request_id, operator=operator, outputs_q=outputs_q, output_hash=output_hash
    )
    extcall IOperatorRegistry(operator_registry).lock(operator, self._stake_of(request_id))
    if head.provisional:
        outputs: DynArray[int256, MAX_OUTPUTS] = tensor.dequantise(outputs_q, terms.output_scale)
        self._notify(request_id, callback.ON_INFERENCE, outputs, convert(SIGNED, uint256), True)


@external
def deliver_proven(
    request_id: bytes32,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    operator: address,
    signature: Bytes[65],
    proof: Bytes[MAX_PROOF_BYTES],
):
    """
    @notice Deliver and prove in one transaction: the request is final, and nothing is locked.
    @dev Until the deadline (inclusive). The signature says who is paid, so a copied proof pays its owner.
    @param request_id An OPEN request.
    @param inputs_q Quantised inputs of the request.
    @param outputs_q Quantised outputs.
    @param operator Registered operator whose key signed.
    @param signature EIP-712 signature of the bundle for this contract.
    @param proof Proof that the model maps these inputs to these outputs.
    """
    self._check_deliverable(request_id)
    terms: IModelRegistry.Terms = self._terms_of(request_id)
    output_hash: bytes32 = self._check_output(request_id, terms, outputs_q, operator, signature)
    self._check_proof(request_id, inputs_q, outputs_q, proof)

    self._set_delivered(request_id, operator, output_hash)
    log ISettlement.Delivered(
        request_id=request_id, operator=operator, outputs_q=outputs_q, output_hash=output_hash
    )
    log ISettlement.Proven(request_id=request_id, output_hash=output_hash, outputs_q=outputs_q)
    self._finalise(request_id, operator, output_hash, PROVEN)
    self._notify_final(request_id, outputs_q, PROVEN, terms.output_scale)


@external
def challenge(
    request_id: bytes32, outputs_q: DynArray[int256, MAX_OUTPUTS], operator: address, signature: Bytes[65]
):
    """
    @notice Put a different output against the delivered one. A proof decides; the wrong side is slashed.
    @dev Before the end of the challenge window (exclusive), and of the proof window if a proof was promised.
         The operator who signed is paid and liable, whoever carries it: a copied challenge gains nothing.
    @param request_id A DELIVERED request.
    @param outputs_q Quantised outputs, different from the delivered ones.
    @param operator Registered operator whose key signed; not the one who delivered.
    @param signature EIP-712 signature of the bundle for this contract.
    """
    head: records.Head = records.head_of(request_id)
    assert head.status == DELIVERED, "settlement: nothing to challenge"
    terms: IModelRegistry.Terms = self._terms_of(request_id)
    times: records.Times = records.times_of(request_id)
    window_end: uint256 = convert(times.delivered_at, uint256) + convert(terms.challenge_window, uint256)
    assert block.timestamp < window_end, "settlement: challenge window is over"
    if head.min_assurance > SIGNED:
        self._check_window(times.delivered_at, terms.proof_window)
    assert operator != records.records[request_id].operator, "settlement: operator delivered it"
    output_hash: bytes32 = self._check_output(request_id, terms, outputs_q, operator, signature)
    assert output_hash != records.records[request_id].output_hash, "settlement: outputs are the same"

    self._set_status(request_id, DISPUTED, NO_ASSURANCE)
    records.records[request_id].challenger = operator
    records.records[request_id].challenger_output_hash = output_hash
    times.disputed_at = convert(block.timestamp, uint64)
    records.set_times(request_id, times)
    log ISettlement.Challenged(
        request_id=request_id, operator=operator, outputs_q=outputs_q, output_hash=output_hash
    )
    extcall IOperatorRegistry(operator_registry).lock(operator, dispute_bond)


@external
def prove(
    request_id: bytes32,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    proof: Bytes[MAX_PROOF_BYTES],
):
    """
    @notice Settle a delivered or disputed request with a proof. Anyone may carry it; nobody is paid for that.
    @dev Within the proof window (inclusive), counted from the challenge if there is one, else from the delivery
         if a proof was promised. A delivered output can only be confirmed: contradict it by a challenge.
    @param request_id A DELIVERED or DISPUTED request.
    @param inputs_q Quantised inputs of the request.
    @param outputs_q Quantised outputs.
    @param proof Proof that the model maps these inputs to these outputs.
    """
    head: records.Head = records.head_of(request_id)
    terms: IModelRegistry.Terms = self._terms_of(request_id)
    times: records.Times = records.times_of(request_id)
    output_hash: bytes32 = tensor.hash_outputs(outputs_q)
    delivered_hash: bytes32 = records.records[request_id].output_hash
    if head.status == DELIVERED:
        assert output_hash == delivered_hash, "settlement: another output was delivered"
        if head.min_assurance > SIGNED:
            self._check_window(times.delivered_at, terms.proof_window)
    else:
        assert head.status == DISPUTED, "settlement: nothing to prove"
        self._check_window(times.disputed_at, terms.proof_window)
    self._check_proof(request_id, inputs_q, outputs_q, proof)

    log ISettlement.Proven(request_id=request_id, output_hash=output_hash, outputs_q=outputs_q)
    operator: address = records.records[request_id].operator
    if output_hash == delivered_hash:
        if head.status == DISPUTED:
            self._slash(request_id, records.records[request_id].challenger, dispute_bond, operator)
        self._finalise(request_id, operator, output_hash, PROVEN)
        self._unlock(operator, self._stake_of(request_id))
        self._notify_final(request_id, outputs_q, PROVEN, terms.output_scale)
    else:
        self._overturn(request_id, operator, delivered_hash, output_hash)
        if head.provisional or head.from_receipt:
            outputs: DynArray[int256, MAX_OUTPUTS] = tensor.dequantise(outputs_q, terms.output_scale)
            self._notify_reversed(request_id, outputs)
        else:
            self._notify_final(request_id, outputs_q, PROVEN, terms.output_scale)


### Anyone


@external
def finalise(request_id: bytes32, outputs_q: DynArray[int256, MAX_OUTPUTS]):
    """
    @notice Make an unchallenged output final.
    @dev From the end of the challenge window on (inclusive), unless a proof was promised.
    @param request_id A DELIVERED request.
    @param outputs_q The delivered outputs, for the consumer; compared with their hash.
    """
    head: records.Head = records.head_of(request_id)
    assert head.status == DELIVERED, "settlement: nothing to finalise"
    assert head.min_assurance <= SIGNED, "settlement: a proof was promised"
    terms: IModelRegistry.Terms = self._terms_of(request_id)
    delivered_at: uint256 = convert(records.times_of(request_id).delivered_at, uint256)
    window_end: uint256 = delivered_at + convert(terms.challenge_window, uint256)
    assert block.timestamp >= window_end, "settlement: challenge window is open"
    output_hash: bytes32 = records.records[request_id].output_hash
    assert tensor.hash_outputs(outputs_q) == output_hash, "settlement: another output was delivered"

    operator: address = records.records[request_id].operator
    self._finalise(request_id, operator, output_hash, head.assurance)
    self._unlock(operator, self._stake_of(request_id))
    self._notify_final(request_id, outputs_q, head.assurance, terms.output_scale)


@external
def expire(request_id: bytes32):
    """
    @notice End a request whose time is over. The requester gets its fee back.
    @dev OPEN after its deadline: nobody is at fault. DELIVERED with a promised proof after the proof window: the
         deliverer is slashed. DISPUTED after the proof window: nothing is determined, and the deliverer, on whom
         the burden of proof lies, is slashed. All bounds exclusive.
    @param request_id An OPEN, DELIVERED or DISPUTED request.
    """
    head: records.Head = records.head_of(request_id)
    times: records.Times = records.times_of(request_id)
    if head.status == OPEN:
        assert block.timestamp > convert(times.deadline, uint256), "settlement: not expired"
        self._set_status(request_id, EXPIRED, NO_ASSURANCE)
        log ISettlement.Expired(request_id=request_id)
        self._refund(request_id, head.requester)
        return

    started_at: uint64 = times.disputed_at
    if head.status == DELIVERED:
        assert head.min_assurance > SIGNED, "settlement: no proof was promised"
        started_at = times.delivered_at
    else:
        assert head.status == DISPUTED, "settlement: nothing to expire"
    window: uint64 = self._terms_of(request_id).proof_window
    window_end: uint256 = convert(started_at, uint256) + convert(window, uint256)
    assert block.timestamp > window_end, "settlement: not expired"
    self._fail(request_id, head)


@external
def replay_callback(request_id: bytes32, outputs_q: DynArray[int256, MAX_OUTPUTS]):
    """
    @notice Repeat the callback that failed last. Anyone may, with more gas than the first time.
    @dev Gets at least the callback gas of the request. A provisional output is not repeated while it is disputed.
    @param request_id A request with a failed callback.
    @param outputs_q The output that stands; empty for a reversal without a proven output.
    """
    head: records.Head = records.head_of(request_id)
    kind: uint8 = head.failed_callback
    assert kind != 0, "settlement: no failed callback"
    assert kind != callback.ON_INFERENCE or head.status == DELIVERED, "settlement: output is disputed"
    output_hash: bytes32 = records.records[request_id].output_hash
    if output_hash == empty(bytes32):
        assert len(outputs_q) == 0, "settlement: no output stands"
    else:
        assert tensor.hash_outputs(outputs_q) == output_hash, "settlement: another output stands"

    outputs: DynArray[int256, MAX_OUTPUTS] = tensor.dequantise(
        outputs_q, self._terms_of(request_id).output_scale
    )
    number: uint256 = convert(head.assurance, uint256)
    if kind == callback.ON_INFERENCE_REVERSED:
        number = records.records[request_id].compensation
    self._notify(request_id, kind, outputs, number, False)


### Views. Reentrant, so that a consumer can read them in its callback: a settlement stores its whole effect first.


@external
@view
@reentrant
def status_of(request_id: bytes32) -> uint8:
    """
    @notice Where a request stands.
    @param request_id The request.
    @return 0 none, 1 OPEN, 2 DELIVERED, 3 DISPUTED, 4 FINAL, 5 UNDETERMINED, 6 EXPIRED, 7 CANCELLED.
    """
    return records.head_of(request_id).status


@external
@view
@reentrant
def assurance_of(request_id: bytes32) -> uint8:
    """
    @notice How strong the evidence behind a request's output is.
    @param request_id The request.
    @return Assurance; NONE where no output stands, and during a dispute.
    """
    return records.head_of(request_id).assurance


@external
@view
@reentrant
def output_hash_of(request_id: bytes32) -> bytes32:
    """
    @notice Hash of the output that stands, final or not.
    @param request_id The request.
    @return keccak256 of the encoded quantised outputs; zero where none stands.
    """
    return records.records[request_id].output_hash


@external
@view
@reentrant
def request_of(request_id: bytes32) -> ISettlement.Request:
    """
    @notice All that is stored of a request.
    @param request_id The request.
    @return The request; all zero when it is unknown.
    """
    return records.request_of(request_id)


@external
@view
@reentrant
def credit_of(account: address) -> uint256:
    """
    @notice What an account can withdraw.
    @param account The account.
    @return Wei.
    """
    return credits.credits[account]


@external
@view
@reentrant
def nonce_of(requester: address) -> uint256:
    """
    @notice How many requests an account has opened: the nonce of its next one.
    @param requester The account.
    @return The count.
    """
    return self._nonces[requester]


### Checks


@internal
@view
def _admit(model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS]) -> DynArray[int256, MAX_INPUTS]:
    terms: IModelRegistry.Terms = staticcall IModelRegistry(model_registry).terms(model_id)
    assert terms.is_open, "settlement: model not open"
    decider: uint8 = divergence.decider_of(terms.determinism)
    assert decider == divergence.PROOF, "settlement: a proof does not decide"
    assert len(inputs) == terms.input_size, "settlement: wrong input size"
    inputs_q: DynArray[int256, MAX_INPUTS] = tensor.quantise(inputs, terms.input_scale)
    for q: int256 in inputs_q:
        assert terms.input_min <= q and q <= terms.input_max, "settlement: input out of bounds"
    return inputs_q


@internal
@view
def _check_deliverable(request_id: bytes32) -> records.Head:
    head: records.Head = records.head_of(request_id)
    assert head.status == OPEN, "settlement: request not open"
    deadline: uint256 = convert(records.times_of(request_id).deadline, uint256)
    assert block.timestamp <= deadline, "settlement: deadline has passed"
    return head


# Size and signature of an output; returns its hash.
@internal
@view
def _check_output(
    request_id: bytes32,
    terms: IModelRegistry.Terms,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    operator: address,
    signature: Bytes[65],
) -> bytes32:
    assert len(outputs_q) == terms.output_size, "settlement: wrong output size"
    output_hash: bytes32 = tensor.hash_outputs(outputs_q)
    digest: bytes32 = bundle.digest(
        self,
        request_id,
        records.records[request_id].model_id,
        records.records[request_id].input_hash,
        output_hash,
        NO_SEED,
        operator,
    )
    signer: address = staticcall IOperatorRegistry(operator_registry).signer_of(operator)
    assert bundle.recover(digest, signature) == signer, "settlement: not the operator's signature"
    return output_hash


@internal
@view
def _check_proof(
    request_id: bytes32,
    inputs_q: DynArray[int256, MAX_INPUTS],
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    proof: Bytes[MAX_PROOF_BYTES],
):
    input_hash: bytes32 = records.records[request_id].input_hash
    assert tensor.hash_inputs(inputs_q) == input_hash, "settlement: another input was asked"
    model_id: bytes32 = records.records[request_id].model_id
    verifier: ICircuitVerifier = ICircuitVerifier(circuit_verifier)
    assert staticcall verifier.verify(model_id, inputs_q, outputs_q, proof), "settlement: proof rejected"


@internal
@view
def _check_window(started_at: uint64, window: uint64):
    window_end: uint256 = convert(started_at, uint256) + convert(window, uint256)
    assert block.timestamp <= window_end, "settlement: proof window is over"


@internal
@view
def _terms_of(request_id: bytes32) -> IModelRegistry.Terms:
    model_id: bytes32 = records.records[request_id].model_id
    return staticcall IModelRegistry(model_registry).terms(model_id)


# What a delivery locks.
@internal
@view
def _stake_of(request_id: bytes32) -> uint256:
    return records.value_at_risk_of(request_id) + dispute_bond


### Effects


@internal
@payable
def _open(
    model_id: bytes32, input_hash: bytes32, head: records.Head, deadline: uint64, value_at_risk: uint256
) -> bytes32:
    nonce: uint256 = self._nonces[msg.sender]
    self._nonces[msg.sender] = nonce + 1
    request_id: bytes32 = keccak256(
        abi_encode(REQUEST_TYPEHASH, chain.id, self, msg.sender, nonce, model_id, input_hash)
    )
    records.records[request_id].model_id = model_id
    records.records[request_id].input_hash = input_hash
    records.set_amounts(request_id, msg.value, value_at_risk)
    records.set_head(request_id, head)
    created_at: uint64 = convert(block.timestamp, uint64)
    records.set_times(
        request_id,
        records.Times(deadline=deadline, created_at=created_at, delivered_at=0, disputed_at=0),
    )
    return request_id


@internal
def _set_status(request_id: bytes32, status: uint8, assurance: uint8):
    head: records.Head = records.head_of(request_id)
    head.status = status
    head.assurance = assurance
    records.set_head(request_id, head)


@internal
def _set_delivered(request_id: bytes32, operator: address, output_hash: bytes32):
    records.records[request_id].operator = operator
    records.records[request_id].output_hash = output_hash
    times: records.Times = records.times_of(request_id)
    times.delivered_at = convert(block.timestamp, uint64)
    records.set_times(request_id, times)


# The fee goes to the operator whose output is final; if it is nobody's (zero), back to the requester.
@internal
def _finalise(request_id: bytes32, operator: address, output_hash: bytes32, assurance: uint8):
    self._set_status(request_id, FINAL, assurance)
    records.records[request_id].operator = operator
    records.records[request_id].output_hash = output_hash
    log ISettlement.Finalised(
        request_id=request_id, operator=operator, output_hash=output_hash, assurance=assurance
    )
    if operator == empty(address):
        self._refund(request_id, records.head_of(request_id).requester)
    else:
        fee: uint256 = records.fee_of(request_id)
        credits.add(operator, fee)
        log ISettlement.FeePaid(request_id=request_id, operator=operator, amount=fee)


# The proven output is not the delivered one. The requester is paid first: the value at risk. A challenger who was
# right gets the fee and the other's dispute bond; one who was wrong too loses its own to the requester.
@internal
def _overturn(request_id: bytes32, deliverer: address, wrong_hash: bytes32, right_hash: bytes32):
    requester: address = records.head_of(request_id).requester
    challenger: address = records.records[request_id].challenger
    compensation: uint256 = records.value_at_risk_of(request_id)
    if records.records[request_id].challenger_output_hash == right_hash:
        self._finalise(request_id, challenger, right_hash, PROVEN)
        self._slash(request_id, deliverer, compensation, requester)
        self._slash(request_id, deliverer, dispute_bond, challenger)
        self._unlock(challenger, dispute_bond)
    else:
        self._finalise(request_id, empty(address), right_hash, PROVEN)
        self._slash(request_id, deliverer, compensation + dispute_bond, requester)
        self._slash(request_id, challenger, dispute_bond, requester)
        compensation += 2 * dispute_bond
    self._reverse(request_id, wrong_hash, right_hash, compensation)


# The deliverer did not prove in time: no output stands.
@internal
def _fail(request_id: bytes32, head: records.Head):
    deliverer: address = records.records[request_id].operator
    challenger: address = records.records[request_id].challenger
    wrong_hash: bytes32 = records.records[request_id].output_hash
    compensation: uint256 = records.value_at_risk_of(request_id)
    records.records[request_id].operator = empty(address)
    records.records[request_id].output_hash = empty(bytes32)
    if head.status == DISPUTED:
        self._set_status(request_id, UNDETERMINED, NO_ASSURANCE)
        log ISettlement.Undetermined(request_id=request_id)
        self._slash(request_id, deliverer, compensation, head.requester)
        self._slash(request_id, deliverer, dispute_bond, challenger)
        self._unlock(challenger, dispute_bond)
    else:
        self._set_status(request_id, EXPIRED, NO_ASSURANCE)
        log ISettlement.Expired(request_id=request_id)
        compensation += dispute_bond
        self._slash(request_id, deliverer, compensation, head.requester)
    self._refund(request_id, head.requester)
    self._reverse(request_id, wrong_hash, empty(bytes32), compensation)
    if head.provisional or head.from_receipt:
        self._notify_reversed(request_id, [])


@internal
def _reverse(request_id: bytes32, wrong_hash: bytes32, right_hash: bytes32, compensation: uint256):
    records.records[request_id].compensation = compensation
    log ISettlement.Reversed(
        request_id=request_id,
        wrong_output_hash=wrong_hash,
        right_output_hash=right_hash,
        compensation=compensation,
    )


@internal
def _refund(request_id: bytes32, requester: address):
    fee: uint256 = records.fee_of(request_id)
    credits.add(requester, fee)
    log ISettlement.Refunded(request_id=request_id, to=requester, amount=fee)


@internal
def _slash(request_id: bytes32, operator: address, amount: uint256, to: address):
    credits.add(to, amount)
    log ISettlement.Slashed(request_id=request_id, operator=operator, to=to, amount=amount)
    extcall IOperatorRegistry(operator_registry).slash(operator, amount)


@internal
def _unlock(operator: address, amount: uint256):
    extcall IOperatorRegistry(operator_registry).unlock(operator, amount)


### Callbacks: always the last thing that a function does


@internal
def _notify_final(
    request_id: bytes32, outputs_q: DynArray[int256, MAX_OUTPUTS], assurance: uint8, scale: uint8
):
    outputs: DynArray[int256, MAX_OUTPUTS] = tensor.dequantise(outputs_q, scale)
    self._notify(
        request_id, callback.ON_INFERENCE_FINAL, outputs, convert(assurance, uint256), True
    )


@internal
def _notify_reversed(request_id: bytes32, outputs: DynArray[int256, MAX_OUTPUTS]):
    compensation: uint256 = records.records[request_id].compensation
    self._notify(request_id, callback.ON_INFERENCE_REVERSED, outputs, compensation, True)


@internal
def _notify(
    request_id: bytes32,
    kind: uint8,
    outputs: DynArray[int256, MAX_OUTPUTS],
    number: uint256,
    exact_gas: bool,
):
    head: records.Head = records.head_of(request_id)
    if head.callback_gas == 0 or not head.requester.is_contract:
        return
    data: Bytes[callback.MAX_CALLDATA] = callback.encode(kind, request_id, outputs, number)
    failed: uint8 = 0
    if callback.send(head.requester, data, convert(head.callback_gas, uint256), exact_gas):
        log ISettlement.CallbackSucceeded(request_id=request_id, kind=kind)
    else:
        failed = kind
        log ISettlement.CallbackFailed(request_id=request_id, kind=kind)
    if failed != head.failed_callback:
        head.failed_callback = failed
        records.set_head(request_id, head)
