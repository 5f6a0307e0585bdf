# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title requests
@license Apache-2.0
@notice Storage of Settlement's requests: one word each. Owns the mapping and its packing, and decides nothing.
        What never changes of a request is bound by its id. What changes is bound by a hash in the word, cut to
        208 bits: two deliveries with the same one take 2**104 hashes to find.
"""

from ..interfaces import ISettlement

# The policy's words stand inline: no struct is hashed on its own, unlike in what people sign.
REQUEST_TYPEHASH: constant(bytes32) = keccak256(
    "Request(uint256 chain_id,address settlement,address requester,uint64 nonce,bytes32 model_id,bytes32 input_hash,uint256 terms,uint8 min_assurance,bool provisional,uint32 callback_gas,uint64 deadline,uint256 value_at_risk,uint256 fee,uint64 created_at,bool from_receipt)"
)

# From the lowest bit: status (3 bits), assurance (3), failed callback (2), final_at (40), payload (208).
MASK_2: constant(uint256) = 2**2 - 1
MASK_3: constant(uint256) = 2**3 - 1
MASK_40: constant(uint256) = 2**40 - 1
ASSURANCE_AT: constant(uint256) = 3
FAILED_CALLBACK_AT: constant(uint256) = 6
FINAL_AT_AT: constant(uint256) = 8
PAYLOAD_AT: constant(uint256) = 48
FAILED_CALLBACK: constant(uint256) = 3 << 6

words: HashMap[bytes32, uint256]


# Computed on every call: a chain that forks gets another chain id.
@internal
@view
def id_of(request: ISettlement.Request) -> bytes32:
    return keccak256(abi_encode(REQUEST_TYPEHASH, chain.id, self, request))


# What the word keeps of a delivery.
@internal
@pure
def commitment(delivery: ISettlement.Delivery) -> uint256:
    return convert(keccak256(abi_encode(delivery)), uint256) >> PAYLOAD_AT


# The payload fits: a commitment has 208 bits, and no credit that is added to a fee reaches 2**128.
@internal
@pure
def pack(status: uint8, assurance: uint8, final_at: uint256, payload: uint256) -> uint256:
    assert final_at <= MASK_40, "requests: time out of range"
    return (
        convert(status, uint256)
        | convert(assurance, uint256) << ASSURANCE_AT
        | final_at << FINAL_AT_AT
        | payload << PAYLOAD_AT
    )


@internal
@pure
def status(word: uint256) -> uint8:
    return convert(word & MASK_3, uint8)


@internal
@pure
def assurance(word: uint256) -> uint8:
    return convert((word >> ASSURANCE_AT) & MASK_3, uint8)


@internal
@pure
def failed_callback(word: uint256) -> uint8:
    return convert((word >> FAILED_CALLBACK_AT) & MASK_2, uint8)


# When a delivered result becomes final by time; zero: never.
@internal
@pure
def final_at(word: uint256) -> uint256:
    return (word >> FINAL_AT_AT) & MASK_40


# OPEN: what was added to the fee, wei. After that: the commitment to the delivery.
@internal
@pure
def payload(word: uint256) -> uint256:
    return word >> PAYLOAD_AT


@internal
def set_failed_callback(request_id: bytes32, kind: uint8):
    word: uint256 = self.words[request_id]
    self.words[request_id] = word & ~FAILED_CALLBACK | convert(kind, uint256) << FAILED_CALLBACK_AT
