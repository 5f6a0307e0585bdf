"""What to do next for one request: a pure function of what the chain says, what we know, and the chain's
clock.

The relayer is level-triggered: nothing here depends on how a state was reached, so a restart, a
reorganisation, a transaction of somebody else or one of ours that was lost all lead to the right step by
asking again. The chain is the final authority; "already settled" is a success.

All times are block timestamps in seconds. Bounds are those of ``contracts/Settlement.vy``.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from eth_typing import ChecksumAddress

from foretell_spec.assurance import Assurance

NEVER: Final = 1 << 62
"""A time that does not come: wait for an event."""

RECHECK: Final = 15
"""Seconds after which something that no event announces, such as a free bond, is looked at again."""


class Status(IntEnum):
    """Status of a request as Settlement's views give it."""

    NONE = 0
    OPEN = 1
    DELIVERED = 2
    DISPUTED = 3
    FINAL = 4
    UNDETERMINED = 5
    EXPIRED = 6
    CANCELLED = 7


CLOSED: Final = frozenset({Status.FINAL, Status.UNDETERMINED, Status.EXPIRED, Status.CANCELLED})


class StepKind(Enum):
    """Kinds of steps. Those from ``DELIVER`` to ``EXPIRE`` are transactions; ``WITHDRAW`` is one that no
    request asks for, but the operator.
    """

    INFER = "infer"
    PROVE = "prove"
    DELIVER = "deliver"
    DELIVER_PROVEN = "deliver_proven"
    CHALLENGE = "challenge"
    SUBMIT_PROOF = "submit_proof"
    FINALISE = "finalise"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    WAIT = "wait"
    DONE = "done"


TRANSACTIONS: Final = frozenset(
    {
        StepKind.DELIVER,
        StepKind.DELIVER_PROVEN,
        StepKind.CHALLENGE,
        StepKind.SUBMIT_PROOF,
        StepKind.FINALISE,
        StepKind.EXPIRE,
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """The next step. ``until`` is the time to look again for ``WAIT``; ``why`` is for people."""

    kind: StepKind
    why: str
    until: int = NEVER


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes of a request. ``value_at_risk`` is in wei, windows are in seconds."""

    min_assurance: Assurance
    provisional: bool
    from_receipt: bool
    deadline: int
    value_at_risk: int
    challenge_window: int
    proof_window: int

    @property
    def promised(self) -> bool:
        """Whether the deliverer owes a proof."""
        return self.min_assurance > Assurance.SIGNED

    @property
    def shown_early(self) -> bool:
        """Whether the requester acts on the output before it is final."""
        return self.provisional or self.from_receipt


@dataclass(frozen=True, slots=True)
class View:
    """What Settlement says of a request now."""

    status: Status
    operator: ChecksumAddress
    output_hash: bytes
    delivered_at: int
    challenger: ChecksumAddress
    disputed_at: int


@dataclass(frozen=True, slots=True)
class Stand:
    """Where we stand. ``output_hash`` is that of our own output, ``None`` before we ran the model; bonds in
    wei.
    """

    operator: ChecksumAddress
    free_bond: int
    dispute_bond: int
    output_hash: bytes | None = None
    has_proof: bool = False
    can_infer: bool = True
    can_prove: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator chose.

    ``prove_all``: prove every delivery of ours, also where nobody acts on it before it is final.
    ``margin``: seconds before a deadline from which a signed delivery does not wait for its proof any longer.
    """

    prove_all: bool = False
    margin: int = 60


def next_step(facts: Facts, view: View, stand: Stand, now: int, rules: Rules) -> Step:
    """The one thing to do next for a request."""
    if view.status in CLOSED:
        return Step(StepKind.DONE, view.status.name)
    if view.status is Status.NONE:
        return Step(StepKind.WAIT, "the chain does not know the request (any longer)")
    if view.status is Status.OPEN:
        return _open(facts, stand, now, rules)
    if view.status is Status.DISPUTED:
        return _disputed(facts, view, stand, now)
    if view.operator == stand.operator:
        return _mine(facts, view, stand, now, rules)
    return _others(facts, view, stand, now)


def _open(facts: Facts, stand: Stand, now: int, rules: Rules) -> Step:
    if now > facts.deadline:
        return Step(StepKind.EXPIRE, "nobody delivered before the deadline")
    if not stand.can_infer or (facts.promised and not stand.can_prove):
        # A delivery that owes a proof we cannot make would only be slashed.
        return Step(StepKind.WAIT, "the model cannot answer this request here", facts.deadline + 1)
    if stand.output_hash is None:
        return Step(StepKind.INFER, "a request of a model that we serve")
    covered = stand.free_bond >= facts.value_at_risk + stand.dispute_bond
    if stand.has_proof:
        return Step(StepKind.DELIVER_PROVEN, "final at once, and no bond is locked")
    wants_proof = (facts.promised and not facts.provisional) or not covered
    if wants_proof and stand.can_prove and facts.deadline - now > rules.margin:
        return Step(
            StepKind.PROVE, "a proof was asked for" if covered else "the bond does not cover a delivery"
        )
    if covered:
        return Step(StepKind.DELIVER, "a signature is enough" if not facts.promised else "the proof follows")
    if stand.can_prove:
        return Step(StepKind.PROVE, "the bond does not cover a delivery; a proof may be in time")
    return Step(StepKind.WAIT, "the free bond does not cover the value at risk", now + RECHECK)


def _mine(facts: Facts, view: View, stand: Stand, now: int, rules: Rules) -> Step:
    window_end = view.delivered_at + facts.challenge_window
    proof_end = view.delivered_at + facts.proof_window
    if facts.promised:
        if now > proof_end:
            return Step(StepKind.WAIT, "the promised proof is overdue: this delivery is lost")
        return _prove(stand, view.output_hash, "a proof was promised")
    if now >= window_end:
        if stand.can_infer and stand.output_hash is None:
            return Step(StepKind.INFER, "the output is needed to finalise")
        if stand.output_hash == view.output_hash:
            return Step(StepKind.FINALISE, "nobody challenged it in time")
        return Step(StepKind.WAIT, "the delivered output is not the one we compute")
    if facts.shown_early or rules.prove_all:
        step = _prove(stand, view.output_hash, "the requester acts on it already")
        if step.kind is not StepKind.WAIT:
            return step
    return Step(StepKind.WAIT, "the challenge window is open", window_end)


def _others(facts: Facts, view: View, stand: Stand, now: int) -> Step:
    window_end = view.delivered_at + facts.challenge_window
    proof_end = view.delivered_at + facts.proof_window
    overdue = proof_end + 1 if facts.promised else NEVER
    if now >= overdue:
        return Step(StepKind.EXPIRE, "the promised proof is overdue")
    if now >= window_end:
        return Step(StepKind.WAIT, "the challenge window is over", overdue)
    if stand.output_hash is None:
        if stand.can_infer:
            return Step(StepKind.INFER, "another operator delivered: is it right?")
        return Step(StepKind.WAIT, "the model cannot answer this request here", overdue)
    if stand.output_hash == view.output_hash:
        return Step(StepKind.WAIT, "another operator delivered the same output", overdue)
    if stand.free_bond >= stand.dispute_bond:
        return Step(StepKind.CHALLENGE, "another operator delivered a different output")
    return Step(
        StepKind.WAIT, "wrong output, but no free bond to challenge it", min(now + RECHECK, window_end)
    )


def _disputed(facts: Facts, view: View, stand: Stand, now: int) -> Step:
    window_end = view.disputed_at + facts.proof_window
    if now > window_end:
        return Step(StepKind.EXPIRE, "nobody proved in time")
    if stand.operator not in (view.operator, view.challenger):
        return Step(StepKind.WAIT, "a dispute of others", window_end + 1)
    step = _prove(stand, None, "a proof decides the dispute")
    return step if step.kind is not StepKind.WAIT else Step(StepKind.WAIT, step.why, window_end + 1)


def _prove(stand: Stand, delivered: bytes | None, why: str) -> Step:
    """Towards a proof on chain; outside a dispute only the delivered output can be proven."""
    if stand.output_hash is None:
        if stand.can_infer:
            return Step(StepKind.INFER, why)
        return Step(StepKind.WAIT, "the model cannot answer this request here")
    if delivered is not None and stand.output_hash != delivered:
        return Step(StepKind.WAIT, "the delivered output is not the one we compute: it cannot be proven")
    if stand.has_proof:
        return Step(StepKind.SUBMIT_PROOF, f"{why}; it is ready")
    if stand.can_prove:
        return Step(StepKind.PROVE, why)
    return Step(StepKind.WAIT, "the proof cannot be made here")
