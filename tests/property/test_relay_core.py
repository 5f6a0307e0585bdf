"""The relayer's decisions against a second reading of Settlement's rules."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from foretell_relayer.core import CLOSED, TRANSACTIONS, Facts, Rules, Stand, Status, StepKind, View, next_step
from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.assurance import Assurance
from tests.kit.relay import OPERATOR, OTHER, REQUESTER

HASHES = [b"\1" * 32, b"\2" * 32]
T = 1_000
times = st.integers(0, 4 * T)

facts = st.builds(
    Facts,
    min_assurance=st.sampled_from([Assurance.SIGNED, Assurance.PROVEN]),
    provisional=st.booleans(),
    from_receipt=st.booleans(),
    deadline=st.integers(0, 3 * T),
    value_at_risk=st.integers(0, 100),
    challenge_window=st.integers(1, T),
    proof_window=st.integers(1, T),
)
stands = st.builds(
    Stand,
    operator=st.just(OPERATOR),
    free_bond=st.integers(0, 200),
    dispute_bond=st.integers(1, 50),
    output_hash=st.sampled_from([None, *HASHES]),
    has_proof=st.booleans(),
    can_infer=st.booleans(),
    can_prove=st.booleans(),
).map(lambda stand: stand if stand.output_hash else replace(stand, has_proof=False))
views = st.builds(
    View,
    status=st.sampled_from(Status),
    operator=st.sampled_from([OPERATOR, OTHER]),
    output_hash=st.sampled_from(HASHES),
    delivered_at=times,
    challenger=st.sampled_from([OPERATOR, OTHER, REQUESTER]),
    disputed_at=times,
)
rules = st.builds(Rules, prove_all=st.booleans(), margin=st.integers(0, T))


def refusal(kind: StepKind, facts: Facts, view: View, stand: Stand, now: int) -> str | None:  # noqa: PLR0911, C901
    """Why Settlement would refuse a transaction; the conditions are those of the contract, line by line."""
    status, promised = view.status, facts.min_assurance > Assurance.SIGNED
    window_end, proof_end = view.delivered_at + facts.challenge_window, view.delivered_at + facts.proof_window
    dispute_end = view.disputed_at + facts.proof_window
    if kind in (StepKind.DELIVER, StepKind.DELIVER_PROVEN):
        if status is not Status.OPEN or now > facts.deadline or stand.output_hash is None:
            return "not deliverable"
        if kind is StepKind.DELIVER:
            return None if stand.free_bond >= facts.value_at_risk + stand.dispute_bond else "bond"
        return None if stand.has_proof else "no proof"
    if kind is StepKind.CHALLENGE:
        if status is not Status.DELIVERED or now >= window_end or (promised and now > proof_end):
            return "not challengeable"
        if view.operator == stand.operator or stand.output_hash in (None, view.output_hash):
            return "nothing to contradict"
        return None if stand.free_bond >= stand.dispute_bond else "bond"
    if kind is StepKind.SUBMIT_PROOF:
        if not stand.has_proof:
            return "no proof"
        if status is Status.DELIVERED:
            late = promised and now > proof_end
            return "late or other output" if late or stand.output_hash != view.output_hash else None
        return None if status is Status.DISPUTED and now <= dispute_end else "not provable"
    if kind is StepKind.FINALISE:
        fits = status is Status.DELIVERED and not promised and now >= window_end
        return None if fits and stand.output_hash == view.output_hash else "not finalisable"
    if status is Status.OPEN:
        return None if now > facts.deadline else "in time"
    if status is Status.DELIVERED:
        return None if promised and now > proof_end else "in time"
    return None if status is Status.DISPUTED and now > dispute_end else "nothing to expire"


@given(facts, views, stands, times, rules)
def test_next_step__any_state__never_sends_what_the_contract_refuses(facts, view, stand, now, rules):
    step = next_step(facts, view, stand, now, rules)

    if step.kind in TRANSACTIONS:
        assert refusal(step.kind, facts, view, stand, now) is None


@given(facts, views, stands, times, rules)
def test_next_step__any_state__waits_for_a_later_time_and_works_only_where_it_can(
    facts, view, stand, now, rules
):
    step = next_step(facts, view, stand, now, rules)

    if step.kind is StepKind.WAIT:
        assert step.until > now
    if step.kind is StepKind.INFER:
        assert stand.can_infer
        assert stand.output_hash is None
    if step.kind is StepKind.PROVE:
        assert stand.can_prove
        assert not stand.has_proof
        assert stand.output_hash is not None
    assert (step.kind is StepKind.DONE) == (view.status in CLOSED)


@given(facts, views, stands, times, rules)
def test_next_step__owed_proof_that_cannot_be_made__is_never_promised(facts, view, stand, now, rules):
    if stand.has_proof or stand.can_prove:
        return
    step = next_step(facts, view, stand, now, rules)

    assert not (step.kind is StepKind.DELIVER and facts.promised)


def apply(kind: StepKind, facts: Facts, view: View, stand: Stand, now: int) -> tuple[View, Stand]:
    """What a step does to the contract and to us. The right output is ``HASHES[0]``."""
    right = HASHES[0]
    if kind is StepKind.INFER:
        return view, replace(stand, output_hash=right)
    if kind is StepKind.PROVE:
        return view, replace(stand, has_proof=True)
    if kind is StepKind.DELIVER:
        stake = facts.value_at_risk + stand.dispute_bond
        delivered = replace(
            view, status=Status.DELIVERED, operator=OPERATOR, output_hash=right, delivered_at=now
        )
        return delivered, replace(stand, free_bond=stand.free_bond - stake)
    if kind is StepKind.CHALLENGE:
        return replace(view, status=Status.DISPUTED, challenger=OPERATOR, disputed_at=now), stand
    if kind is StepKind.EXPIRE:
        ended = Status.UNDETERMINED if view.status is Status.DISPUTED else Status.EXPIRED
        return replace(view, status=ended), stand
    return replace(view, status=Status.FINAL, output_hash=right), stand


@given(facts, stands, rules, st.sampled_from(["nobody", "honest", "liar"]), st.integers(1, 40))
def test_next_step__followed_to_the_end__closes_every_request_and_ours_are_right(
    facts, stand, rules, who, pause
):
    stand = replace(stand, output_hash=None, has_proof=False, can_infer=True, can_prove=True, free_bond=200)
    facts = replace(facts, from_receipt=False, deadline=max(facts.deadline, T))
    view, now = View(Status.OPEN, ZERO_ADDRESS, b"\0" * 32, 0, ZERO_ADDRESS, 0), 10
    if who != "nobody":
        output = HASHES[who == "liar"]
        view = replace(view, status=Status.DELIVERED, operator=OTHER, output_hash=output, delivered_at=now)

    taken = []
    while view.status not in CLOSED and now < 10 * T:
        step = next_step(facts, view, stand, now, rules)
        taken.append(step.kind)
        if step.kind is StepKind.WAIT:
            if step.until > 10 * T:
                break
            now = step.until
            continue
        if step.kind in TRANSACTIONS:
            assert refusal(step.kind, facts, view, stand, now) is None
            now += 1
        elif step.kind is StepKind.PROVE:
            now += min(pause, facts.proof_window - 2) if facts.proof_window > 2 else 0
        view, stand = apply(step.kind, facts, view, stand, now)
        assert len(taken) < 20

    if who == "nobody":
        assert view.status is Status.FINAL
        assert view.operator in (OPERATOR, ZERO_ADDRESS)
    elif who == "liar" and facts.challenge_window > 3 and facts.proof_window > 3:
        assert view.status is Status.FINAL
        assert StepKind.CHALLENGE in taken
    elif who == "honest":
        assert StepKind.CHALLENGE not in taken
