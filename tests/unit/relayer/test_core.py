from dataclasses import replace

import pytest

from foretell_relayer.core import NEVER, Facts, Rules, Stand, Status, StepKind, View, next_step
from foretell_spec.assurance import Assurance
from tests.kit.relay import OPERATOR, OTHER, REQUESTER, START, a_view

RIGHT, WRONG = b"\1" * 32, b"\2" * 32
FACTS = Facts(
    min_assurance=Assurance.SIGNED,
    provisional=False,
    from_receipt=False,
    deadline=START + 600,
    value_at_risk=50,
    challenge_window=3600,
    proof_window=1800,
)
PROMISED = replace(FACTS, min_assurance=Assurance.PROVEN)
STAND = Stand(operator=OPERATOR, free_bond=100, dispute_bond=10, output_hash=RIGHT)
NEW = replace(STAND, output_hash=None)
PROVEN = replace(STAND, has_proof=True)
OPEN = a_view(Status.OPEN)
MINE = a_view(Status.DELIVERED, operator=OPERATOR, output_hash=RIGHT, delivered_at=START)
SAME = a_view(Status.DELIVERED, operator=OTHER, output_hash=RIGHT, delivered_at=START)
LIE = a_view(Status.DELIVERED, operator=OTHER, output_hash=WRONG, delivered_at=START)
DISPUTE = a_view(
    Status.DISPUTED,
    operator=OTHER,
    output_hash=WRONG,
    delivered_at=START,
    challenger=OPERATOR,
    disputed_at=START,
)
OTHERS_DISPUTE = replace(DISPUTE, challenger=REQUESTER)


def step(facts: Facts, view: View, stand: Stand, now: int = START, rules: Rules | None = None):
    return next_step(facts, view, stand, now, rules or Rules())


@pytest.mark.parametrize("status", [Status.FINAL, Status.UNDETERMINED, Status.EXPIRED, Status.CANCELLED])
def test_next_step__closed__is_done_with_the_status(status):
    found = step(FACTS, a_view(status), STAND)

    assert (found.kind, found.why) == (StepKind.DONE, status.name)


def test_next_step__unknown_to_the_chain__waits_for_an_event():
    assert step(FACTS, a_view(Status.NONE), STAND).until == NEVER


@pytest.mark.parametrize(
    ("facts", "stand", "now", "kind"),
    [
        pytest.param(FACTS, NEW, START, StepKind.INFER, id="new"),
        pytest.param(FACTS, STAND, START, StepKind.DELIVER, id="signature asked"),
        pytest.param(FACTS, STAND, FACTS.deadline, StepKind.DELIVER, id="last second"),
        pytest.param(FACTS, STAND, FACTS.deadline + 1, StepKind.EXPIRE, id="too late"),
        pytest.param(PROMISED, STAND, START, StepKind.PROVE, id="proof asked"),
        pytest.param(PROMISED, PROVEN, START, StepKind.DELIVER_PROVEN, id="proof ready"),
        pytest.param(PROMISED, STAND, FACTS.deadline - 60, StepKind.DELIVER, id="no time for the proof"),
        pytest.param(replace(PROMISED, provisional=True), STAND, START, StepKind.DELIVER, id="provisional"),
        pytest.param(FACTS, replace(STAND, free_bond=59), START, StepKind.PROVE, id="bond too small"),
        pytest.param(FACTS, replace(STAND, free_bond=60), START, StepKind.DELIVER, id="bond just enough"),
        pytest.param(
            FACTS,
            replace(STAND, free_bond=0, can_prove=False),
            START,
            StepKind.WAIT,
            id="neither bond nor proof",
        ),
        pytest.param(FACTS, replace(NEW, can_infer=False), START, StepKind.WAIT, id="poison"),
        pytest.param(PROMISED, replace(STAND, can_prove=False), START, StepKind.WAIT, id="proof impossible"),
    ],
)
def test_next_step__open(facts, stand, now, kind):
    assert step(facts, OPEN, stand, now).kind is kind


def test_next_step__poison__expires_when_its_time_is_over():
    stand = replace(NEW, can_infer=False)

    assert step(FACTS, OPEN, stand, step(FACTS, OPEN, stand).until).kind is StepKind.EXPIRE


@pytest.mark.parametrize(
    ("facts", "stand", "now", "rules", "kind"),
    [
        pytest.param(FACTS, STAND, START, Rules(), StepKind.WAIT, id="window open"),
        pytest.param(FACTS, STAND, START + 3599, Rules(), StepKind.WAIT, id="last second of the window"),
        pytest.param(FACTS, STAND, START + 3600, Rules(), StepKind.FINALISE, id="window over"),
        pytest.param(FACTS, NEW, START + 3600, Rules(), StepKind.INFER, id="output forgotten"),
        pytest.param(FACTS, STAND, START, Rules(prove_all=True), StepKind.PROVE, id="prove all"),
        pytest.param(
            replace(FACTS, provisional=True), STAND, START, Rules(), StepKind.PROVE, id="provisional"
        ),
        pytest.param(replace(FACTS, from_receipt=True), STAND, START, Rules(), StepKind.PROVE, id="receipt"),
        pytest.param(
            replace(FACTS, from_receipt=True),
            PROVEN,
            START,
            Rules(),
            StepKind.SUBMIT_PROOF,
            id="receipt, proven",
        ),
        pytest.param(
            replace(FACTS, from_receipt=True),
            replace(STAND, can_prove=False),
            START,
            Rules(),
            StepKind.WAIT,
            id="receipt, unprovable",
        ),
        pytest.param(PROMISED, STAND, START, Rules(), StepKind.PROVE, id="promised"),
        pytest.param(
            PROMISED, PROVEN, START + 1800, Rules(), StepKind.SUBMIT_PROOF, id="promised, last second"
        ),
        pytest.param(PROMISED, PROVEN, START + 1801, Rules(), StepKind.WAIT, id="promised, overdue"),
    ],
)
def test_next_step__delivered_by_us(facts, stand, now, rules, kind):
    assert step(facts, MINE, stand, now, rules).kind is kind


def test_next_step__delivered_by_us_but_not_our_output__is_neither_proven_nor_finalised():
    view = replace(MINE, output_hash=WRONG)

    assert step(PROMISED, view, PROVEN).kind is StepKind.WAIT
    assert step(FACTS, view, PROVEN, START + 3600).kind is StepKind.WAIT


@pytest.mark.parametrize(
    ("facts", "view", "stand", "now", "kind"),
    [
        pytest.param(FACTS, LIE, NEW, START, StepKind.INFER, id="not compared yet"),
        pytest.param(FACTS, SAME, STAND, START, StepKind.WAIT, id="same"),
        pytest.param(FACTS, LIE, STAND, START, StepKind.CHALLENGE, id="different"),
        pytest.param(FACTS, LIE, STAND, START + 3599, StepKind.CHALLENGE, id="last second"),
        pytest.param(FACTS, LIE, STAND, START + 3600, StepKind.WAIT, id="too late"),
        pytest.param(FACTS, LIE, replace(STAND, free_bond=9), START, StepKind.WAIT, id="no bond"),
        pytest.param(PROMISED, LIE, STAND, START + 1800, StepKind.CHALLENGE, id="promised, in time"),
        pytest.param(PROMISED, LIE, STAND, START + 1801, StepKind.EXPIRE, id="promised, overdue"),
        pytest.param(PROMISED, SAME, STAND, START + 1801, StepKind.EXPIRE, id="promised, overdue, same"),
    ],
)
def test_next_step__delivered_by_another(facts, view, stand, now, kind):
    assert step(facts, view, stand, now).kind is kind


@pytest.mark.parametrize(
    ("view", "stand", "now", "kind"),
    [
        pytest.param(DISPUTE, NEW, START, StepKind.INFER, id="output unknown"),
        pytest.param(DISPUTE, STAND, START, StepKind.PROVE, id="no proof yet"),
        pytest.param(DISPUTE, PROVEN, START + 1800, StepKind.SUBMIT_PROOF, id="last second"),
        pytest.param(DISPUTE, PROVEN, START + 1801, StepKind.EXPIRE, id="too late"),
        pytest.param(DISPUTE, replace(STAND, can_prove=False), START, StepKind.WAIT, id="unprovable"),
        pytest.param(OTHERS_DISPUTE, STAND, START, StepKind.WAIT, id="of others"),
        pytest.param(OTHERS_DISPUTE, STAND, START + 1801, StepKind.EXPIRE, id="of others, overdue"),
    ],
)
def test_next_step__disputed(view, stand, now, kind):
    assert step(FACTS, view, stand, now).kind is kind


def test_next_step__our_delivery_disputed__is_proven():
    view = replace(MINE, status=Status.DISPUTED, challenger=OTHER, disputed_at=START)

    assert step(FACTS, view, PROVEN).kind is StepKind.SUBMIT_PROOF
