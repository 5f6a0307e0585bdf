# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Settlement
@license Apache-2.0
@author Foretell
@notice The on-chain life of a request: escrow, delivery, finality, refund, callback; Disputes decides the rest.
        Results of the precompile (receipts) and asynchronous requests share one history and one set of views.
@dev OPEN -> DELIVERED -> FINAL is the normal path; docs/spec/settlement.md draws all of them. Nobody has powers
     over it. Payments are pulled. The functions of IDisputes run on this contract's storage with the code of the
     Disputes that was named at deployment, for good.
@custom:invariant The balance is at least the fees of open, delivered and disputed requests plus all credits.
                  A request leaves OPEN once, and FINAL, UNDETERMINED, EXPIRED and CANCELLED never.
                  A fee is paid or refunded exactly once.
                  An operator's locked bond is the sum of the locks of its delivered and disputed requests.
@custom:security Trusts the registries, the code of Disputes and the precompile given at deployment. The classes
                 whose disputes a proof does not decide are refused.
"""

from interfaces import IDisputes
from interfaces import IInference
from interfaces import IModelRegistry
from interfaces import IOperatorRegistry
from interfaces import ISettlement
from lib import accounts
from lib import bundle
from lib import callback
from lib import divergence
from lib import outcomes
from lib import requests
from lib import tensor
from lib import terms

implements: ISettlement

initializes: accounts
initializes: requests
initializes: outcomes[accounts := accounts, requests := requests]

exports: (outcomes.dispute_bond, outcomes.operator_registry)

MAX_INPUTS: constant(uint256) = 256
MAX_OUTPUTS: constant(uint256) = 64
MAX_BATCH: constant(uint256) = 100
# Memory is paid for by its largest extent, so a batch has room for this many numbers, whatever their shape.
MAX_BATCH_NUMBERS: constant(uint256) = 1024
MAX_SIGNATURE: constant(uint256) = 1024

# What a requester signs, so that somebody else may send it (EIP-712).
ASK_TYPEHASH: constant(bytes32) = keccak256(
    "Ask(address requester,uint64 nonce,bytes32 model_id,bytes32 input_hash,Policy policy,uint256 fee)Policy(uint8 min_assurance,bool provisional,uint32 callback_gas,uint64 deadline,uint256 value_at_risk)"
)
POLICY_TYPEHASH: constant(bytes32) = keccak256(
    "Policy(uint8 min_assurance,bool provisional,uint32 callback_gas,uint64 deadline,uint256 value_at_risk)"
)
# Answer of isValidSignature (EIP-1271).
VALID_SIGNATURE: constant(bytes32) = (
    0x1626ba7e00000000000000000000000000000000000000000000000000000000
)

# Bounds what a delivery, which the operator pays for, can be made to cost.
MAX_CALLBACK_GAS: constant(uint32) = 1_000_000
RECEIPT_CALLBACK_GAS: constant(uint32) = 200_000
# No bond is larger.
MAX_VALUE_AT_RISK: constant(uint256) = 2**96 - 1

model_registry: public(immutable(address))
disputes: public(immutable(address))
precompile: public(immutable(address))
cancel_delay: public(immutable(uint256))


@deploy
def __init__(
    model_registry_: address, disputes_: address, precompile_: address, cancel_delay_: uint256
):
    """
    @param model_registry_ ModelRegistry.
    @param disputes_ Disputes; its operator registry names this contract as its settlement.
    @param precompile_ Inference precompile; zero on a chain without one.
    @param cancel_delay_ Seconds before a requester may cancel.
    """
    assert model_registry_ != empty(address), "settlement: model registry is zero"
    assert disputes_ != empty(address), "settlement: disputes is zero"
    registry: address = staticcall IDisputes(disputes_).operator_registry()
    outcomes.__init__(registry, staticcall IDisputes(disputes_).dispute_bond())
    named: address = staticcall IOperatorRegistry(registry).settlement()
    assert named == self, "settlement: operators of another settlement"
    model_registry = model_registry_
    disputes = disputes_
    precompile = precompile_
    cancel_delay = cancel_delay_


# Reentrant: slashed bonds arrive while a settlement holds the lock. The functions of Disputes take the same lock.
@external
@payable
@reentrant
def __default__():
    if len(msg.data) == 0:
        assert msg.sender == outcomes.operator_registry, "settlement: only bonds arrive like this"
        return
    raw_call(disputes, msg.data, gas=msg.gas, max_outsize=0, is_delegate_call=True)


### Requesters


@external
@payable
def deposit(account: address):
    """
    @notice Add the ether sent to an account's credit, for fees.
    @param account The account.
    """
    accounts.add(account, msg.value)
    log ISettlement.Deposited(account=account, amount=msg.value)


@external
@payable
def request(
    model_id: bytes32, inputs: DynArray[int256, MAX_INPUTS], policy: ISettlement.Policy, fee: uint256
) -> bytes32:
    """
    @notice Ask for an inference. The operator's fee is held until the request is settled.
    @dev The id binds all of the request, the policy included.
    @param model_id An open model of class CIRCUIT.
    @param inputs WAD inputs, quantised here.
    @param policy What the result must be worth, by when, and how it is handed over.
    @param fee Wei out of the caller's credit, to which the ether sent is added first.
    @return The request id.
    """
    self._check_policy(policy)
    word: uint256 = 0
    input_hash: bytes32 = empty(bytes32)
    word, input_hash = staticcall IModelRegistry(model_registry).admit(model_id, inputs)
    self._check_class(word)
    nonce: uint64 = self._charge(msg.sender, fee, 1)
    request: ISettlement.Request = ISettlement.Request(
        requester=msg.sender,
        nonce=nonce,
        model_id=model_id,
        input_hash=input_hash,
        terms=word,
        policy=policy,
        fee=fee,
        created_at=convert(block.timestamp, uint64),
        from_receipt=False,
    )
    request_id: bytes32 = self._open(request)
    log ISettlement.Requested(
        request_id=request_id,
        model_id=model_id,
        requester=msg.sender,
        nonce=nonce,
        inputs=inputs,
        terms=word,
        policy=policy,
        fee=fee,
        created_at=request.created_at,
    )
    return request_id


@external
@payable
def request_for(
    requester: address,
    model_id: bytes32,
    inputs: DynArray[int256, MAX_INPUTS],
    policy: ISettlement.Policy,
    fee: uint256,
    signature: Bytes[MAX_SIGNATURE],
) -> bytes32:
    """
    @notice Ask for an inference in the name of a requester who signed it.
    @dev The signature binds chain, contract, the requester's next nonce, model, inputs, policy and fee, so it works
         once, and until the policy's deadline. A requester with code is asked (EIP-1271).
    @param requester Who signed, pays, and gets refunds and callbacks.
    @param model_id An open model of class CIRCUIT.
    @param inputs WAD inputs, quantised here.
    @param policy What the result must be worth, by when, and how it is handed over.
    @param fee Wei out of the requester's credit, to which the ether sent is added first.
    @param signature EIP-712 signature of the Ask.
    @return The request id.
    """
    self._check_policy(policy)
    word: uint256 = 0
    input_hash: bytes32 = empty(bytes32)
    word, input_hash = staticcall IModelRegistry(model_registry).admit(model_id, inputs)
    self._check_class(word)
    nonce: uint64 = convert(accounts.nonce_of(requester), uint64)
    request: ISettlement.Request = ISettlement.Request(
        requester=requester,
        nonce=nonce,
        model_id=model_id,
        input_hash=input_hash,
        terms=word,
        policy=policy,
        fee=fee,
        created_at=convert(block.timestamp, uint64),
        from_receipt=False,
    )
    self._check_requester(requester, self._ask_digest(request), signature)
    self._charge(requester, fee, 1)
    request_id: bytes32 = self._open(request)
    log ISettlement.Requested(
        request_id=request_id,
        model_id=model_id,
        requester=requester,
        nonce=nonce,
        inputs=inputs,
        terms=word,
        policy=policy,
        fee=fee,
        created_at=request.created_at,
    )
    return request_id


@external
@payable
def request_many(
    model_id: bytes32,
    inputs: DynArray[int256, MAX_BATCH_NUMBERS],
    count: uint256,
    policy: ISettlement.Policy,
    fee: uint256,
) -> DynArray[bytes32, MAX_BATCH]:
    """
    @notice Ask many times about one model, under one policy.
    @param model_id An open model of class CIRCUIT.
    @param inputs WAD inputs of all requests, one after the other.
    @param count Number of requests.
    @param policy What each result must be worth, by when, and how it is handed over.
    @param fee Wei for each request out of the caller's credit, to which the ether sent is added first.
    @return The request ids; their nonces are consecutive.
    """
    self._check_policy(policy)
    assert 0 < count and count <= MAX_BATCH, "settlement: batch size out of range"
    word: uint256 = 0
    hashes: DynArray[bytes32, MAX_BATCH] = []
    word, hashes = staticcall IModelRegistry(model_registry).admit_many(model_id, inputs, count)
    self._check_class(word)
    size: uint256 = terms.input_size(word)
    nonce: uint64 = self._charge(msg.sender, fee * count, count)
    request: ISettlement.Request = ISettlement.Request(
        requester=msg.sender,
        nonce=nonce,
        model_id=model_id,
        input_hash=empty(bytes32),
        terms=word,
        policy=policy,
        fee=fee,
        created_at=convert(block.timestamp, uint64),
        from_receipt=False,
    )
    ids: DynArray[bytes32, MAX_BATCH] = []
    for i: uint256 in range(count, bound=MAX_BATCH):
        request.nonce = nonce + convert(i, uint64)
        request.input_hash = hashes[i]
        request_id: bytes32 = self._open(request)
        ids.append(request_id)
        part: DynArray[int256, MAX_INPUTS] = []
        for j: uint256 in range(size, bound=MAX_INPUTS):
            part.append(inputs[i * size + j])
        log ISettlement.Requested(
            request_id=request_id,
            model_id=model_id,
            requester=msg.sender,
            nonce=request.nonce,
            inputs=part,
            terms=word,
            policy=policy,
            fee=fee,
            created_at=request.created_at,
        )
    return ids


@external
@payable
def settle_receipt(
    receipt_id: bytes32,
    model_id: bytes32,
    inputs: DynArray[int256, MAX_INPUTS],
    value_at_risk: uint256,
    fee: uint256,
) -> bytes32:
    """
    @notice Take a result of the precompile into settlement, insured: until it is final, `value_at_risk` of its
            operator's bond stands behind it.
    @dev Only in the block of the inference. A proven result is final at once and locks nothing.
    @param receipt_id Receipt that the precompile returned.
    @param model_id Model that was asked.
    @param inputs WAD inputs that were given; they are quantised and their hash is compared.
    @param value_at_risk Wei that the caller gets if the result does not stand.
    @param fee Wei for the operator out of the caller's credit, to which the ether sent is added first.
    @return The request id.
    """
    assert value_at_risk <= MAX_VALUE_AT_RISK, "settlement: value at risk too large"
    receipt: IInference.Receipt = staticcall IInference(precompile).receipt(receipt_id)
    assert convert(receipt.block_number, uint256) == block.number, "settlement: receipt not of this block"
    assert receipt.model_id == model_id, "settlement: receipt of another model"
    word: uint256 = 0
    input_hash: bytes32 = empty(bytes32)
    word, input_hash = staticcall IModelRegistry(model_registry).admit(model_id, inputs)
    self._check_class(word)
    assert receipt.input_hash == input_hash, "settlement: receipt of another input"

    nonce: uint64 = self._charge(msg.sender, fee, 1)
    now: uint64 = convert(block.timestamp, uint64)
    request: ISettlement.Request = ISettlement.Request(
        requester=msg.sender,
        nonce=nonce,
        model_id=model_id,
        input_hash=input_hash,
        terms=word,
        policy=ISettlement.Policy(
            min_assurance=outcomes.SIGNED,
            provisional=False,
            callback_gas=RECEIPT_CALLBACK_GAS,
            deadline=now,
            value_at_risk=value_at_risk,
        ),
        fee=fee,
        created_at=now,
        from_receipt=True,
    )
    request_id: bytes32 = requests.id_of(request)
    log ISettlement.ReceiptSettled(
        request_id=request_id,
        model_id=model_id,
        requester=msg.sender,
        nonce=nonce,
        inputs=inputs,
        terms=word,
        value_at_risk=value_at_risk,
        fee=fee,
        created_at=now,
        receipt_id=receipt_id,
        operator=receipt.operator,
        output_hash=receipt.output_hash,
        assurance=receipt.assurance,
    )
    delivery: ISettlement.Delivery = self._delivery(receipt.operator, receipt.output_hash, 0)
    if receipt.assurance == outcomes.PROVEN:
        outcomes.finalise(request, request_id, outcomes.PROVEN, delivery)
    else:
        outcomes.store_delivered(request, request_id, receipt.assurance, delivery)
        outcomes.lock(receipt.operator, outcomes.stake_of(request))
    return request_id


@external
@payable
def raise_fee(request: ISettlement.Request, amount: uint256):
    """
    @notice Offer more for a request that nobody has delivered. Anyone may; what is refunded goes to the requester.
    @dev Until the deadline (inclusive). The id stays, and so do signatures over it.
    @param request An OPEN request.
    @param amount Wei out of the caller's credit, to which the ether sent is added first.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    outcomes.check_open(request, word)
    assert amount > 0, "settlement: nothing to add"
    self._charge(msg.sender, amount, 0)
    raised: uint256 = requests.payload(word) + amount
    requests.words[request_id] = requests.pack(outcomes.OPEN, outcomes.NO_ASSURANCE, 0, raised)
    log ISettlement.FeeRaised(request_id=request_id, payer=msg.sender, amount=amount)


@external
def cancel(request: ISettlement.Request):
    """
    @notice Take back a request that nobody has delivered, and its fee.
    @dev Only its requester, from `cancel_delay` seconds after the request on (inclusive), so that an operator
         who has started to work is not cheated.
    @param request An OPEN request.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    assert requests.status(word) == outcomes.OPEN, "settlement: request not open"
    assert request.requester == msg.sender, "settlement: only the requester"
    created_at: uint256 = convert(request.created_at, uint256)
    assert block.timestamp >= created_at + cancel_delay, "settlement: too early to cancel"

    outcomes.close(request_id, outcomes.CANCELLED)
    log ISettlement.Cancelled(request_id=request_id)
    outcomes.refund(request_id, request.requester, request.fee + requests.payload(word))


@external
def withdraw() -> uint256:
    """
    @notice Send the caller its credit.
    @dev The credit is cleared before the ether leaves.
    @return Wei sent.
    """
    amount: uint256 = accounts.take(msg.sender)
    log ISettlement.Withdrawn(account=msg.sender, amount=amount)
    raw_call(msg.sender, b"", value=amount, gas=msg.gas, max_outsize=0)
    return amount


### Operators, and anyone who carries their signatures


@external
def deliver(
    request: ISettlement.Request,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
    operator: address,
    signature: Bytes[65],
):
    """
    @notice Deliver an output that an operator signed. Anyone may carry it; the operator is paid and liable.
    @dev Until the deadline (inclusive). Locks value at risk and dispute bond of the operator.
    @param request An OPEN request.
    @param outputs_q Quantised outputs.
    @param operator Registered operator whose key signed.
    @param signature EIP-712 signature of the bundle for this contract.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    outcomes.check_open(request, word)
    output_hash: bytes32 = outcomes.check_output(request, outputs_q)
    signer: address = outcomes.lock(operator, outcomes.stake_of(request))
    struct_hash: bytes32 = outcomes.struct_hash(request, request_id, output_hash, operator)
    outcomes.check_signature(struct_hash, signature, signer)

    delivery: ISettlement.Delivery = self._delivery(operator, output_hash, requests.payload(word))
    outcomes.store_delivered(request, request_id, outcomes.SIGNED, delivery)
    log ISettlement.Delivered(
        request_id=request_id,
        operator=operator,
        outputs_q=outputs_q,
        delivered_at=delivery.delivered_at,
    )
    if request.policy.provisional:
        signed: uint256 = convert(outcomes.SIGNED, uint256)
        outcomes.notify(request, request_id, callback.ON_INFERENCE, outputs_q, signed)


@external
def deliver_many(
    first: ISettlement.Request,
    input_hashes: DynArray[bytes32, MAX_BATCH],
    outputs_q: DynArray[int256, MAX_BATCH_NUMBERS],
    operator: address,
    signature: Bytes[65],
):
    """
    @notice Deliver outputs for requests that were opened together, under one signature.
    @dev As `deliver`. Requests that are not open any longer are passed over, so that nobody can spoil a batch by
         taking one out of it; at least one must be open.
    @param first The first request; the others differ in nonce, counted up from its own, and in input hash.
    @param input_hashes Input hash of each request.
    @param outputs_q Quantised outputs of all requests, one after the other.
    @param operator Registered operator whose key signed.
    @param signature EIP-712 signature of the batch of bundles for this contract.
    """
    size: uint256 = self._check_batch(first, len(input_hashes), len(outputs_q))
    request: ISettlement.Request = first
    nonce: uint64 = first.nonce
    struct_hashes: DynArray[bytes32, MAX_BATCH] = []
    delivered: DynArray[uint256, MAX_BATCH] = []
    for i: uint256 in range(len(input_hashes), bound=MAX_BATCH):
        request.nonce = nonce + convert(i, uint64)
        request.input_hash = input_hashes[i]
        request_id: bytes32 = requests.id_of(request)
        part: DynArray[int256, MAX_OUTPUTS] = []
        for j: uint256 in range(size, bound=MAX_OUTPUTS):
            part.append(outputs_q[i * size + j])
        output_hash: bytes32 = outcomes.check_output(request, part)
        struct_hashes.append(outcomes.struct_hash(request, request_id, output_hash, operator))
        word: uint256 = requests.words[request_id]
        if requests.status(word) != outcomes.OPEN:
            continue
        outcomes.check_open(request, word)
        delivered.append(i)
        delivery: ISettlement.Delivery = self._delivery(operator, output_hash, requests.payload(word))
        outcomes.store_delivered(request, request_id, outcomes.SIGNED, delivery)
        log ISettlement.Delivered(
            request_id=request_id,
            operator=operator,
            outputs_q=part,
            delivered_at=delivery.delivered_at,
        )
    assert len(delivered) > 0, "settlement: request not open"
    signer: address = outcomes.lock(operator, outcomes.stake_of(first) * len(delivered))
    outcomes.check_signature(bundle.batch_hash(struct_hashes), signature, signer)
    if not first.policy.provisional:
        return
    for i: uint256 in delivered:
        request.nonce = nonce + convert(i, uint64)
        request.input_hash = input_hashes[i]
        part: DynArray[int256, MAX_OUTPUTS] = []
        for j: uint256 in range(size, bound=MAX_OUTPUTS):
            part.append(outputs_q[i * size + j])
        signed: uint256 = convert(outcomes.SIGNED, uint256)
        outcomes.notify(request, requests.id_of(request), callback.ON_INFERENCE, part, signed)


### Anyone


@external
def finalise(
    request: ISettlement.Request,
    delivery: ISettlement.Delivery,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
):
    """
    @notice Pay for an output that nobody challenged in time, and tell the consumer that it is final.
    @dev From the end of the challenge window on (inclusive), unless a proof was promised.
    @param request A DELIVERED request.
    @param delivery Its delivery.
    @param outputs_q The delivered outputs, for the consumer; compared with their hash.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    assert requests.status(word) == outcomes.DELIVERED, "settlement: nothing to finalise"
    outcomes.check_delivery(word, delivery)
    assert not outcomes.promised(request), "settlement: a proof was promised"
    assert block.timestamp >= requests.final_at(word), "settlement: challenge window is open"
    output_hash: bytes32 = tensor.hash_outputs(outputs_q)
    assert output_hash == delivery.output_hash, "settlement: another output was delivered"

    assurance: uint8 = requests.assurance(word)
    outcomes.finalise(request, request_id, assurance, delivery)
    outcomes.unlock(delivery.operator, outcomes.stake_of(request))
    number: uint256 = convert(assurance, uint256)
    outcomes.notify(request, request_id, callback.ON_INFERENCE_FINAL, outputs_q, number)


@external
def finalise_many(
    first: ISettlement.Request,
    input_hashes: DynArray[bytes32, MAX_BATCH],
    delivery: ISettlement.Delivery,
    outputs_q: DynArray[int256, MAX_BATCH_NUMBERS],
):
    """
    @notice As `finalise`, for requests that were opened and delivered together.
    @dev Requests that are not delivered like this (any longer) are passed over; at least one must be.
    @param first The first request; the others differ in nonce, counted up from its own, and in input hash.
    @param input_hashes Input hash of each request.
    @param delivery Delivery of each request, but for the output hash, which is computed.
    @param outputs_q The delivered outputs of all requests, one after the other.
    """
    size: uint256 = self._check_batch(first, len(input_hashes), len(outputs_q))
    assert not outcomes.promised(first), "settlement: a proof was promised"
    request: ISettlement.Request = first
    item: ISettlement.Delivery = delivery
    nonce: uint64 = first.nonce
    finalised: DynArray[uint256, MAX_BATCH] = []
    for i: uint256 in range(len(input_hashes), bound=MAX_BATCH):
        request.nonce = nonce + convert(i, uint64)
        request.input_hash = input_hashes[i]
        request_id: bytes32 = requests.id_of(request)
        word: uint256 = requests.words[request_id]
        part: DynArray[int256, MAX_OUTPUTS] = []
        for j: uint256 in range(size, bound=MAX_OUTPUTS):
            part.append(outputs_q[i * size + j])
        item.output_hash = tensor.hash_outputs(part)
        if requests.status(word) != outcomes.DELIVERED:
            continue
        if requests.payload(word) != requests.commitment(item):
            continue
        assert block.timestamp >= requests.final_at(word), "settlement: challenge window is open"
        finalised.append(i)
        outcomes.finalise(request, request_id, requests.assurance(word), item)
    assert len(finalised) > 0, "settlement: nothing to finalise"
    outcomes.unlock(delivery.operator, outcomes.stake_of(first) * len(finalised))
    for i: uint256 in finalised:
        request.nonce = nonce + convert(i, uint64)
        request.input_hash = input_hashes[i]
        request_id: bytes32 = requests.id_of(request)
        part: DynArray[int256, MAX_OUTPUTS] = []
        for j: uint256 in range(size, bound=MAX_OUTPUTS):
            part.append(outputs_q[i * size + j])
        number: uint256 = convert(requests.assurance(requests.words[request_id]), uint256)
        outcomes.notify(request, request_id, callback.ON_INFERENCE_FINAL, part, number)


@external
def replay_callback(
    request: ISettlement.Request,
    delivery: ISettlement.Delivery,
    outputs_q: DynArray[int256, MAX_OUTPUTS],
):
    """
    @notice Repeat the callback that failed last. Anyone may, with more gas than the first time.
    @dev Gets at least the callback gas of the request. A provisional output is not repeated once it is disputed.
    @param request A request with a failed callback.
    @param delivery Its delivery.
    @param outputs_q The output that stands; empty for a reversal without a proven output.
    """
    request_id: bytes32 = requests.id_of(request)
    word: uint256 = requests.words[request_id]
    kind: uint8 = requests.failed_callback(word)
    assert kind != 0, "settlement: no failed callback"
    outcomes.check_delivery(word, delivery)
    if delivery.output_hash == empty(bytes32):
        assert len(outputs_q) == 0, "settlement: no output stands"
    else:
        output_hash: bytes32 = tensor.hash_outputs(outputs_q)
        assert output_hash == delivery.output_hash, "settlement: another output stands"

    number: uint256 = convert(requests.assurance(word), uint256)
    if kind == callback.ON_INFERENCE_REVERSED:
        number = delivery.compensation
    if outcomes.call_back(request, request_id, kind, outputs_q, number, False):
        requests.set_failed_callback(request_id, 0)
        log ISettlement.CallbackSucceeded(request_id=request_id, kind=kind)
    else:
        log ISettlement.CallbackFailed(request_id=request_id, kind=kind)


### Views. Reentrant, so that a consumer can read them in its callback: a settlement stores its whole effect first.


@external
@view
@reentrant
def status_of(request_id: bytes32) -> uint8:
    """
    @notice Where a request stands. A delivered result whose challenge window is over reads FINAL, whether or not
            anybody has been paid for it yet.
    @param request_id The request.
    @return 0 none, 1 OPEN, 2 DELIVERED, 3 DISPUTED, 4 FINAL, 5 UNDETERMINED, 6 EXPIRED, 7 CANCELLED.
    """
    word: uint256 = requests.words[request_id]
    status: uint8 = requests.status(word)
    final_at: uint256 = requests.final_at(word)
    if status == outcomes.DELIVERED and final_at != 0 and block.timestamp >= final_at:
        return outcomes.FINAL
    return status


@external
@view
@reentrant
def assurance_of(request_id: bytes32) -> uint8:
    """
    @notice How strong the evidence behind a request's output is.
    @param request_id The request.
    @return Assurance; NONE where no output stands, and during a dispute.
    """
    return requests.assurance(requests.words[request_id])


@external
@view
@reentrant
def state_of(request_id: bytes32) -> ISettlement.State:
    """
    @notice All that is stored of a request.
    @param request_id The request.
    @return The fields of its word; all zero when it is unknown.
    """
    word: uint256 = requests.words[request_id]
    status: uint8 = requests.status(word)
    raised: uint256 = 0
    commitment: uint256 = requests.payload(word)
    if status == outcomes.OPEN:
        raised = commitment
        commitment = 0
    return ISettlement.State(
        status=status,
        assurance=requests.assurance(word),
        failed_callback=requests.failed_callback(word),
        final_at=convert(requests.final_at(word), uint64),
        raised_fee=raised,
        commitment=commitment,
    )


@external
@view
@reentrant
def request_id_of(request: ISettlement.Request) -> bytes32:
    """
    @notice Id of a request, opened or not.
    @param request The request.
    @return The hash of chain id, this contract and all fields.
    """
    return requests.id_of(request)


@external
@view
@reentrant
def output_hash_of(request_id: bytes32, delivery: ISettlement.Delivery) -> bytes32:
    """
    @notice Hash of the output that stands, final or not.
    @dev Reverts unless this is the delivery of the request.
    @param request_id A request that was delivered.
    @param delivery Its delivery.
    @return keccak256 of the encoded quantised outputs; zero where none stands.
    """
    word: uint256 = requests.words[request_id]
    assert requests.status(word) > outcomes.OPEN, "settlement: nothing was delivered"
    outcomes.check_delivery(word, delivery)
    return delivery.output_hash


@external
@view
@reentrant
def credit_of(account: address) -> uint256:
    """
    @notice What an account can spend on fees or withdraw.
    @param account The account.
    @return Wei.
    """
    return accounts.credit_of(account)


@external
@view
@reentrant
def nonce_of(requester: address) -> uint256:
    """
    @notice How many requests an account has opened: the nonce of its next one.
    @param requester The account.
    @return The count.
    """
    return accounts.nonce_of(requester)


### Checks


@internal
@view
def _check_policy(policy: ISettlement.Policy):
    assert policy.min_assurance >= outcomes.SIGNED, "settlement: assurance out of range"
    assert policy.min_assurance <= outcomes.PROVEN, "settlement: assurance out of range"
    assert policy.callback_gas <= MAX_CALLBACK_GAS, "settlement: callback gas too high"
    assert convert(policy.deadline, uint256) > block.timestamp, "settlement: deadline has passed"
    assert policy.value_at_risk <= MAX_VALUE_AT_RISK, "settlement: value at risk too large"


@internal
@pure
def _check_class(word: uint256):
    decider: uint8 = divergence.decider_of(terms.determinism(word))
    assert decider == divergence.PROOF, "settlement: a proof does not decide"


# Number of outputs of each request of a batch.
@internal
@pure
def _check_batch(first: ISettlement.Request, count: uint256, numbers: uint256) -> uint256:
    size: uint256 = terms.output_size(first.terms)
    assert numbers == size * count, "settlement: wrong output size"
    return size


# An account without code signs itself; one with code is asked.
@internal
@view
def _check_requester(requester: address, digest: bytes32, signature: Bytes[MAX_SIGNATURE]):
    if not requester.is_contract:
        assert len(signature) == 65, "settlement: not the requester's signature"
        signer: address = bundle.recover(digest, slice(signature, 0, 65))
        assert signer == requester, "settlement: not the requester's signature"
        return
    answered: bool = False
    answer: Bytes[32] = b""
    answered, answer = raw_call(
        requester,
        abi_encode(digest, signature, method_id=method_id("isValidSignature(bytes32,bytes)")),
        max_outsize=32,
        gas=msg.gas,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert answered and len(answer) == 32, "settlement: not the requester's signature"
    assert extract32(answer, 0) == VALID_SIGNATURE, "settlement: not the requester's signature"


### Effects


# Takes fees out of the credit of an account, to which the ether sent is added; returns its next nonce.
@internal
@payable
def _charge(account: address, amount: uint256, count: uint256) -> uint64:
    if msg.value > 0:
        log ISettlement.Deposited(account=account, amount=msg.value)
    return convert(accounts.charge(account, msg.value, amount, count), uint64)


@internal
def _open(request: ISettlement.Request) -> bytes32:
    request_id: bytes32 = requests.id_of(request)
    requests.words[request_id] = requests.pack(outcomes.OPEN, outcomes.NO_ASSURANCE, 0, 0)
    return request_id


@internal
@view
def _ask_digest(request: ISettlement.Request) -> bytes32:
    policy_hash: bytes32 = keccak256(abi_encode(POLICY_TYPEHASH, request.policy))
    struct_hash: bytes32 = keccak256(
        abi_encode(
            ASK_TYPEHASH,
            request.requester,
            request.nonce,
            request.model_id,
            request.input_hash,
            policy_hash,
            request.fee,
        )
    )
    return bundle.typed_digest(self, struct_hash)


@internal
@view
def _delivery(operator: address, output_hash: bytes32, raised_fee: uint256) -> ISettlement.Delivery:
    return ISettlement.Delivery(
        operator=operator,
        output_hash=output_hash,
        delivered_at=convert(block.timestamp, uint64),
        raised_fee=raised_fee,
        challenger=empty(address),
        challenger_output_hash=empty(bytes32),
        disputed_at=0,
        compensation=0,
    )
