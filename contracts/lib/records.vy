# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title records
@license Apache-2.0
@notice Storage of Settlement's requests. Owns the mapping and its packing, and decides nothing.
        A new request takes five fresh slots instead of thirteen: three packed words, model and input hash.
"""

from ..interfaces import ISettlement

MASK_8: constant(uint256) = 2**8 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_128: constant(uint256) = 2**128 - 1
MASK_160: constant(uint256) = 2**160 - 1

# First word: requester, then one byte each, then the callback gas.
STATUS_AT: constant(uint256) = 160
ASSURANCE_AT: constant(uint256) = 168
MIN_ASSURANCE_AT: constant(uint256) = 176
PROVISIONAL_AT: constant(uint256) = 184
FROM_RECEIPT_AT: constant(uint256) = 192
FAILED_CALLBACK_AT: constant(uint256) = 200
CALLBACK_GAS_AT: constant(uint256) = 208

# What nearly every step reads.
struct Head:
    requester: address
    status: uint8
    assurance: uint8
    min_assurance: uint8
    provisional: bool
    from_receipt: bool
    failed_callback: uint8
    callback_gas: uint32

struct Times:
    deadline: uint64
    created_at: uint64
    delivered_at: uint64
    disputed_at: uint64

struct Record:
    head: uint256
    times: uint256
    amounts: uint256          # fee (low half) and value at risk, wei
    model_id: bytes32
    input_hash: bytes32
    operator: address
    output_hash: bytes32
    challenger: address
    challenger_output_hash: bytes32
    compensation: uint256

records: HashMap[bytes32, Record]


@internal
@view
def head_of(request_id: bytes32) -> Head:
    word: uint256 = self.records[request_id].head
    return Head(
        requester=convert(word & MASK_160, address),
        status=convert((word >> STATUS_AT) & MASK_8, uint8),
        assurance=convert((word >> ASSURANCE_AT) & MASK_8, uint8),
        min_assurance=convert((word >> MIN_ASSURANCE_AT) & MASK_8, uint8),
        provisional=(word >> PROVISIONAL_AT) & 1 != 0,
        from_receipt=(word >> FROM_RECEIPT_AT) & 1 != 0,
        failed_callback=convert((word >> FAILED_CALLBACK_AT) & MASK_8, uint8),
        callback_gas=convert((word >> CALLBACK_GAS_AT) & MASK_32, uint32),
    )


@internal
def set_head(request_id: bytes32, head: Head):
    self.records[request_id].head = (
        convert(head.requester, uint256)
        | convert(head.status, uint256) << STATUS_AT
        | convert(head.assurance, uint256) << ASSURANCE_AT
        | convert(head.min_assurance, uint256) << MIN_ASSURANCE_AT
        | convert(head.provisional, uint256) << PROVISIONAL_AT
        | convert(head.from_receipt, uint256) << FROM_RECEIPT_AT
        | convert(head.failed_callback, uint256) << FAILED_CALLBACK_AT
        | convert(head.callback_gas, uint256) << CALLBACK_GAS_AT
    )


@internal
@view
def times_of(request_id: bytes32) -> Times:
    word: uint256 = self.records[request_id].times
    return Times(
        deadline=convert(word & MASK_64, uint64),
        created_at=convert((word >> 64) & MASK_64, uint64),
        delivered_at=convert((word >> 128) & MASK_64, uint64),
        disputed_at=convert(word >> 192, uint64),
    )


@internal
def set_times(request_id: bytes32, times: Times):
    self.records[request_id].times = (
        convert(times.deadline, uint256)
        | convert(times.created_at, uint256) << 64
        | convert(times.delivered_at, uint256) << 128
        | convert(times.disputed_at, uint256) << 192
    )


@internal
@view
def fee_of(request_id: bytes32) -> uint256:
    return self.records[request_id].amounts & MASK_128


@internal
@view
def value_at_risk_of(request_id: bytes32) -> uint256:
    return self.records[request_id].amounts >> 128


@internal
def set_amounts(request_id: bytes32, fee: uint256, value_at_risk: uint256):
    assert fee <= MASK_128, "records: fee too large"
    assert value_at_risk <= MASK_128, "records: value at risk too large"
    self.records[request_id].amounts = fee | value_at_risk << 128


@internal
@view
def request_of(request_id: bytes32) -> ISettlement.Request:
    head: Head = self.head_of(request_id)
    times: Times = self.times_of(request_id)
    return ISettlement.Request(
        requester=head.requester,
        model_id=self.records[request_id].model_id,
        input_hash=self.records[request_id].input_hash,
        policy=ISettlement.Policy(
            min_assurance=head.min_assurance,
            provisional=head.provisional,
            callback_gas=head.callback_gas,
            deadline=times.deadline,
            value_at_risk=self.value_at_risk_of(request_id),
        ),
        fee=self.fee_of(request_id),
        created_at=times.created_at,
        from_receipt=head.from_receipt,
        status=head.status,
        assurance=head.assurance,
        operator=self.records[request_id].operator,
        output_hash=self.records[request_id].output_hash,
        delivered_at=times.delivered_at,
        challenger=self.records[request_id].challenger,
        challenger_output_hash=self.records[request_id].challenger_output_hash,
        disputed_at=times.disputed_at,
        failed_callback=head.failed_callback,
        compensation=self.records[request_id].compensation,
    )
