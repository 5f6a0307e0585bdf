"""Two operators return different outputs: what that means, and what decides, per determinism class.

The classes say what a model's *one correct output* is. The same rule is ``contracts/lib/divergence.vy``;
``tests/vectors/divergence.json`` holds both to one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from foretell_spec.assurance import Assurance
from foretell_spec.errors import TensorError
from foretell_spec.tensor import Tensor


class DeterminismClass(IntEnum):
    """What the one correct output of a model is."""

    CIRCUIT = 0
    """The integers of the EZKL witness; a zero-knowledge proof shows them."""
    INTEGER = 1
    """The result of an integer-only ONNX graph, bit for bit."""
    FLOAT = 2
    """The value of a pinned runtime profile, equal within a declared tolerance."""
    SEEDED = 3
    """The token sequence of Gumbel-max sampling with a seed that no operator chooses."""
    OPEN = 4
    """None is defined; only provenance is claimed."""


REACHABLE: Final = {
    DeterminismClass.CIRCUIT: frozenset({Assurance.SIGNED, Assurance.AGREED, Assurance.PROVEN}),
    DeterminismClass.INTEGER: frozenset({Assurance.SIGNED, Assurance.AGREED}),
    DeterminismClass.FLOAT: frozenset({Assurance.SIGNED, Assurance.AGREED}),
    DeterminismClass.SEEDED: frozenset({Assurance.SIGNED, Assurance.AGREED}),
    DeterminismClass.OPEN: frozenset({Assurance.SIGNED}),
}
"""Assurance that a caller of the precompile may ask for, per class."""

SETTLING: Final = {
    DeterminismClass.CIRCUIT: Assurance.PROVEN,
    DeterminismClass.INTEGER: Assurance.AGREED,
    DeterminismClass.FLOAT: Assurance.AGREED,
    DeterminismClass.SEEDED: Assurance.AGREED,
}
"""Least assurance that counts for a request once two operators have contradicted each other, per class; about
a model of class OPEN nobody can.
"""


class Relation(IntEnum):
    """How two outputs stand to each other."""

    SAME = 0
    WITHIN_TOLERANCE = 1
    DIFFERENT = 2


class Decider(IntEnum):
    """What settles which of two outputs is right."""

    NOTHING_TO_DECIDE = 0
    PROOF = 1
    """A zero-knowledge proof: for one key and one input a single output is provable."""
    RE_EXECUTION = 2
    """Equality of a quorum, then bit-exact re-execution."""
    QUORUM = 3
    """A quorum or an attested enclave under the pinned profile."""
    TEACHER_FORCING = 4
    """A check of each sampled token under the given prefix."""
    UNDECIDABLE = 5
    """Nobody is at fault and nothing decides."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How two outputs relate, and what decides between them."""

    relation: Relation
    decider: Decider

    @property
    def contradicts(self) -> bool:
        """Whether at most one of the outputs is right. Of a model without a correct output, none is wrong."""
        return self.decider not in (Decider.NOTHING_TO_DECIDE, Decider.UNDECIDABLE)


_DECIDERS = {
    DeterminismClass.CIRCUIT: Decider.PROOF,
    DeterminismClass.INTEGER: Decider.RE_EXECUTION,
    DeterminismClass.FLOAT: Decider.QUORUM,
    DeterminismClass.SEEDED: Decider.TEACHER_FORCING,
    DeterminismClass.OPEN: Decider.UNDECIDABLE,
}


def judge(
    determinism: DeterminismClass, first: Sequence[int], second: Sequence[int], tolerance: int
) -> Verdict:
    """Compare two outputs of one request.

    Args:
        determinism: the model's class.
        first: one output, integers in the class's own unit (quantised, or WAD for ``FLOAT``).
        second: the other output, of any length.
        tolerance: largest benign difference of an element, in the same unit; only ``FLOAT`` uses it.
    """
    relation = _relate(determinism, first, second, tolerance)
    if relation is Relation.DIFFERENT:
        return Verdict(relation, _DECIDERS[determinism])
    return Verdict(relation, Decider.NOTHING_TO_DECIDE)


def _relate(
    determinism: DeterminismClass, first: Sequence[int], second: Sequence[int], tolerance: int
) -> Relation:
    if tuple(first) == tuple(second):
        return Relation.SAME
    if determinism is not DeterminismClass.FLOAT or len(first) != len(second):
        return Relation.DIFFERENT
    near = all(abs(a - b) <= tolerance for a, b in zip(first, second, strict=True))
    return Relation.WITHIN_TOLERANCE if near else Relation.DIFFERENT


def agreed_value(outputs: Sequence[Tensor]) -> Tensor:
    """Element-wise median of outputs within tolerance; of two middle values the floor of their mean.

    Raises:
        TensorError: there is no output, or their lengths differ.
    """
    if not outputs or len({len(output) for output in outputs}) != 1:
        raise TensorError("outputs to agree on must exist and be of one length")
    return tuple(_median(column) for column in zip(*outputs, strict=True))


def _median(values: Sequence[int]) -> int:
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2
