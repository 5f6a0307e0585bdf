"""A request of Settlement off chain: the structs whose hashes the contract compares, rebuilt from its events.

Settlement stores one word for a request. Whoever moves the request on passes what never changes of it
(``Request``) and what is known since its delivery (``Delivery``); both follow from the events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import typed_digest
from foretell_spec.errors import SpecError
from foretell_spec.tensor import Tensor, quantise, tensor_hash
from foretell_spec.terms import Terms

POLICY_TYPE: Final = (
    "Policy(uint8 min_assurance,bool provisional,uint32 callback_gas,uint64 deadline,uint256 value_at_risk)"
)
POLICY_TUPLE: Final = "(uint8,bool,uint32,uint64,uint256)"
REQUEST_TYPEHASH: Final = keccak(
    text="Request(uint256 chain_id,address settlement,address requester,uint64 nonce,bytes32 model_id,"
    "bytes32 input_hash,uint256 terms,uint8 min_assurance,bool provisional,uint32 callback_gas,"
    "uint64 deadline,uint256 value_at_risk,uint256 fee,uint64 created_at,bool from_receipt)"
)
REQUEST_TUPLE: Final = f"(address,uint64,bytes32,bytes32,uint256,{POLICY_TUPLE},uint256,uint64,bool)"
DELIVERY_TUPLE: Final = "(address,bytes32,uint64,uint256,address,bytes32,uint64,uint256)"
ASK_TYPEHASH: Final = keccak(
    text="Ask(address requester,uint64 nonce,bytes32 model_id,bytes32 input_hash,Policy policy,uint256 fee)"
    + POLICY_TYPE
)
POLICY_TYPEHASH: Final = keccak(text=POLICY_TYPE)
COMMITMENT_BITS: Final = 208
RECEIPT_CALLBACK_GAS: Final = 200_000
ZERO_HASH: Final = b"\0" * 32

STORY: Final = frozenset(
    {"Requested", "ReceiptSettled", "FeeRaised", "Delivered", "Challenged", "Finalised", "Reversed"}
)
"""The events that structs follow from."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a result must be worth, by when, and how it is handed over. ``value_at_risk`` is in wei."""

    min_assurance: int
    provisional: bool
    callback_gas: int
    deadline: int
    value_at_risk: int

    def words(self) -> tuple[Any, ...]:
        """As the ABI takes it."""
        return astuple(self)


@dataclass(frozen=True, slots=True)
class Request:
    """What never changes of a request. ``terms`` is ``Terms.word``; ``fee`` is in wei."""

    requester: ChecksumAddress
    nonce: int
    model_id: bytes
    input_hash: bytes
    terms: int
    policy: Policy
    fee: int
    created_at: int
    from_receipt: bool = False

    def words(self) -> tuple[Any, ...]:
        """As the ABI takes it."""
        return astuple(self)

    def id(self, chain_id: int, settlement: ChecksumAddress) -> bytes:
        """Id of this request in one contract on one chain."""
        words = ["bytes32", "uint256", "address", REQUEST_TUPLE]
        return keccak(encode(words, [REQUEST_TYPEHASH, chain_id, settlement, self.words()]))

    @classmethod
    def from_event(cls, name: str, args: Mapping[str, Any]) -> "Request":
        """The request that a ``Requested`` or ``ReceiptSettled`` event tells of.

        Raises:
            SpecError: it is another event.
        """
        if name == "Requested":
            policy = Policy(**dict(args["policy"]))
        elif name == "ReceiptSettled":
            policy = Policy(
                min_assurance=Assurance.SIGNED.value,
                provisional=False,
                callback_gas=RECEIPT_CALLBACK_GAS,
                deadline=args["created_at"],
                value_at_risk=args["value_at_risk"],
            )
        else:
            raise SpecError(f"no request begins with {name}")
        return cls(
            requester=args["requester"],
            nonce=args["nonce"],
            model_id=bytes(args["model_id"]),
            input_hash=tensor_hash(inputs_of(args)),
            terms=args["terms"],
            policy=policy,
            fee=args["fee"],
            created_at=args["created_at"],
            from_receipt=name == "ReceiptSettled",
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of a request since it was delivered. ``raised_fee`` and ``compensation`` are in wei."""

    operator: ChecksumAddress = ZERO_ADDRESS
    output_hash: bytes = ZERO_HASH
    delivered_at: int = 0
    raised_fee: int = 0
    challenger: ChecksumAddress = ZERO_ADDRESS
    challenger_output_hash: bytes = ZERO_HASH
    disputed_at: int = 0
    compensation: int = 0

    def words(self) -> tuple[Any, ...]:
        """As the ABI takes it."""
        return astuple(self)

    @property
    def commitment(self) -> int:
        """What the stored word keeps of it: the upper 208 bits of its hash."""
        return int.from_bytes(keccak(encode([DELIVERY_TUPLE], [self.words()]))) >> (256 - COMMITMENT_BITS)

    @classmethod
    def from_events(cls, events: Iterable[tuple[str, Mapping[str, Any]]]) -> "Delivery":
        """The delivery that a request's events, in order, lead to; other events are passed over."""
        delivery = cls()
        for name, args in events:
            delivery = delivery.after(name, args)
        return delivery

    def after(self, name: str, args: Mapping[str, Any]) -> "Delivery":
        """The delivery after one more event."""
        if name == "FeeRaised":
            return replace(self, raised_fee=self.raised_fee + args["amount"])
        if name == "ReceiptSettled":
            return Delivery(args["operator"], bytes(args["output_hash"]), args["created_at"])
        if name == "Delivered":
            output_hash = tensor_hash(args["outputs_q"])
            return Delivery(args["operator"], output_hash, args["delivered_at"], self.raised_fee)
        if name == "Challenged":
            return replace(
                self,
                challenger=args["operator"],
                challenger_output_hash=tensor_hash(args["outputs_q"]),
                disputed_at=args["disputed_at"],
            )
        if name == "Finalised":
            return replace(self, operator=args["operator"], output_hash=bytes(args["output_hash"]))
        if name == "Reversed":
            right = bytes(args["right_output_hash"])
            operator = ZERO_ADDRESS if right == ZERO_HASH else self.operator
            return replace(self, operator=operator, output_hash=right, compensation=args["compensation"])
        return self


def inputs_of(args: Mapping[str, Any]) -> Tensor:
    """The quantised inputs of a ``Requested`` or ``ReceiptSettled`` event, which carries them in WAD."""
    return quantise(args["inputs"], Terms.from_word(args["terms"]).input_scale)


def ask_digest(
    chain_id: int,
    settlement: ChecksumAddress,
    requester: ChecksumAddress,
    nonce: int,
    model_id: bytes,
    input_hash: bytes,
    policy: Policy,
    fee: int,
) -> bytes:
    """EIP-712 digest that a requester signs so that somebody else may send its request."""
    policy_hash = keccak(encode(["bytes32", POLICY_TUPLE], [POLICY_TYPEHASH, policy.words()]))
    words = ["bytes32", "address", "uint64", "bytes32", "bytes32", "bytes32", "uint256"]
    values = [ASK_TYPEHASH, requester, nonce, model_id, input_hash, policy_hash, fee]
    return typed_digest(chain_id, settlement, keccak(encode(words, values)))


def batch_of(first: Request, input_hashes: Sequence[bytes]) -> list[Request]:
    """The requests that ``deliver_many`` and ``finalise_many`` take: nonces counted up, and their inputs."""
    return [
        replace(first, nonce=first.nonce + index, input_hash=input_hash)
        for index, input_hash in enumerate(input_hashes)
    ]
