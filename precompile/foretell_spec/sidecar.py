"""Sidecars: the answers that a block used, the evidence behind them, and the dissent that was known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

from eth_abi import encode
from eth_utils import keccak

from foretell_spec.bundle import Bundle
from foretell_spec.errors import SpecError
from foretell_spec.request import receipt_id
from foretell_spec.tensor import MAX_OUTPUTS, Tensor, require_quantised, tensor_hash

MAX_ANSWERS: Final = 1024
MAX_DISSENTS: Final = 1024
MAX_AGREEING: Final = 16
"""Most bundles of one answer, so most operators of a quorum."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Answer:
    """What answers one request: one bundle, or those of several operators that agree.

    ``outputs`` are quantised: the one bundle's, or what the operators agree on by the rule of the model's
    class. The first bundle's operator leads: the receipt bears its name.

    Raises:
        SpecError: there is no bundle, there are too many, or they are of different requests.
    """

    outputs: Tensor
    bundles: tuple[Bundle, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.bundles) <= MAX_AGREEING:
            raise SpecError(f"an answer has 1 to {MAX_AGREEING} bundles, not {len(self.bundles)}")
        if len({bundle.request_id for bundle in self.bundles}) != 1:
            raise SpecError("the bundles of an answer are of one request")

    @classmethod
    def of(cls, bundle: Bundle) -> "Answer":
        """The answer that one bundle gives."""
        return cls(bundle.outputs, (bundle,))

    @property
    def lead(self) -> Bundle:
        """The bundle of the operator whose name the receipt bears."""
        return self.bundles[0]

    @property
    def request_id(self) -> bytes:
        """The request that is answered."""
        return self.lead.request_id

    @cached_property
    def output_hash(self) -> bytes:
        """``tensor_hash`` of the outputs."""
        return tensor_hash(self.outputs)

    @cached_property
    def receipt_id(self) -> bytes:
        """Id of the receipt of this answer."""
        return receipt_id(self.request_id, self.output_hash, self.lead.operator)

    @cached_property
    def hash(self) -> bytes:
        """Commitment to outputs and bundles in order, evidence included."""
        hashes = [bundle.hash for bundle in self.bundles]
        return keccak(encode(["bytes32", "bytes32[]"], [self.output_hash, hashes]))

    def to_json(self) -> dict[str, Any]:
        """JSON form: integers as decimal strings."""
        return {
            "outputs": [str(q) for q in self.outputs],
            "bundles": [bundle.to_json() for bundle in self.bundles],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Answer":
        """Read ``to_json``'s form from an untrusted source.

        Raises:
            SpecError: a part is missing, malformed or over its limit.
        """
        outputs = _list(value, "outputs", MAX_OUTPUTS, _integer)
        return cls(outputs, _list(value, "bundles", MAX_AGREEING, Bundle.from_json))


@dataclass(frozen=True)
class Dissent:
    """Two bundles for one request whose outputs differ: evidence against one of their operators.

    Raises:
        SpecError: they are of different requests, or their outputs are the same.
    """

    first: Bundle
    second: Bundle

    def __post_init__(self) -> None:
        if self.first.request_id != self.second.request_id:
            raise SpecError("the bundles of a dissent are of one request")
        if self.first.outputs == self.second.outputs:
            raise SpecError("the bundles of a dissent have different outputs")

    @property
    def request_id(self) -> bytes:
        """The request on which the operators differ."""
        return self.first.request_id

    @property
    def claims(self) -> frozenset[bytes]:
        """Who says what, in no order and whatever the signatures: equal for the same dissent told twice."""
        return frozenset((self.first.receipt_id, self.second.receipt_id))

    @cached_property
    def hash(self) -> bytes:
        """Commitment to both bundles in order, evidence included."""
        return keccak(self.first.hash + self.second.hash)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"first": self.first.to_json(), "second": self.second.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Dissent":
        """Read ``to_json``'s form from an untrusted source.

        Raises:
            SpecError: a part is missing or malformed.
        """
        try:
            return cls(Bundle.from_json(value["first"]), Bundle.from_json(value["second"]))
        except (KeyError, TypeError) as error:
            raise SpecError(f"not a dissent: {error!r}") from None


@dataclass(frozen=True)
class Sidecar:
    """What a block carries beside its transactions: answers in order of first use, and dissents."""

    answers: tuple[Answer, ...] = ()
    dissents: tuple[Dissent, ...] = ()

    @cached_property
    def root(self) -> bytes:
        """What the block header's extra data holds: empty where the sidecar is, else 32 bytes."""
        if not self.answers and not self.dissents:
            return b""
        answers = [answer.hash for answer in self.answers]
        dissents = [dissent.hash for dissent in self.dissents]
        return keccak(encode(["bytes32[]", "bytes32[]"], [answers, dissents]))

    @property
    def bundle_count(self) -> int:
        """Bundles of all answers."""
        return sum(len(answer.bundles) for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "answers": [answer.to_json() for answer in self.answers],
            "dissents": [dissent.to_json() for dissent in self.dissents],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Sidecar":
        """Read ``to_json``'s form from an untrusted source; other keys are left alone.

        Raises:
            SpecError: a part is missing, malformed or over its limit.
        """
        return cls(
            _list(value, "answers", MAX_ANSWERS, Answer.from_json),
            _list(value, "dissents", MAX_DISSENTS, Dissent.from_json),
        )


def _list(value: Any, name: str, limit: int, read: Callable[[Any], _Item]) -> tuple[_Item, ...]:
    items = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(items, list) or len(items) > limit:
        raise SpecError(f"{name}: not a list of at most {limit}")
    return tuple(read(item) for item in items)


def _integer(value: Any) -> int:
    if not isinstance(value, str):
        raise SpecError("outputs: integers are decimal strings")
    try:
        return require_quantised(int(value))
    except ValueError as error:
        raise SpecError(f"outputs: {error}") from None
