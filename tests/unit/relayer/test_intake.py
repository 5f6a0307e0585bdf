"""New work is taken while it pays, while funds last, and while things work; old duties always go on."""

import asyncio
import time

import pytest

from foretell_relayer import intake as module
from foretell_relayer.core import Step, StepKind
from foretell_relayer.intake import RESERVE_GAS, Intake, Price, cost
from foretell_relayer.records import BlockRef
from foretell_relayer.stages import Decider
from foretell_relayer.submit.gas import TYPICAL, GasUsed
from foretell_spec.assurance import Assurance
from tests.kit.relay import ETHER, START, FakeChain, make_context, make_found, request_id

GWEI = 10**9
DELIVER = Step(StepKind.DELIVER, "a reason")


def context_with(tmp_path, **settings):
    chain = FakeChain()
    context = make_context(tmp_path, chain, **settings)
    context.head = asyncio.run(chain.head())
    return context, chain


@pytest.fixture
def context(tmp_path):
    made, _ = context_with(tmp_path)
    yield made
    made.journal.close()


def row_of(context, number=0, **overrides):
    found = make_found(number, **overrides)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    return context.journal.get(found.request_id)


def admit(context, intake, row, step=DELIVER):
    asyncio.run(intake.look())
    return intake.admit(row, row.found.facts(3600, 1800), step, START)


def test_admit__all_well__lets_in(context):
    assert admit(context, Intake(context), row_of(context)) is DELIVER


def test_admit__funds_low__waits_but_lets_duties_go_on(context):
    row = row_of(context)
    context.chain.wealth = RESERVE_GAS * (2 * context.chain.base_fee + context.settings.tip) - 1
    intake = Intake(context)
    step = admit(context, intake, row)
    assert (step.kind, step.until) == (StepKind.WAIT, START + 15)
    assert "R-SUB-002" in step.why

    duty = Step(StepKind.EXPIRE, "nobody delivered")
    assert admit(context, intake, row, duty) is duty
    context.chain.wealth += 1
    assert admit(context, intake, row) is DELIVER


def test_admit__gas_over_the_ceiling__waits_and_comes_back(context):
    row, intake = row_of(context), Intake(context)
    context.head = module_head(context, context.settings.max_fee + 1)
    assert "R-SUB-003" in admit(context, intake, row).why

    context.head = module_head(context, 1)
    assert admit(context, intake, row) is DELIVER


def module_head(context, base_fee):
    context.chain.base_fee = base_fee
    return asyncio.run(context.chain.head())


def test_admit__waits__never_past_the_deadline(context):
    row, intake = row_of(context, deadline=START + 3), Intake(context)
    context.chain.wealth = 0

    assert admit(context, intake, row).until == START + 4


# ------------------------------------------------------------------------------- the circuit breaker


def fail(context, *numbers):
    for number in numbers:
        row_of(context, number)
        context.journal.model_failed(request_id(number), StepKind.PROVE, "no memory", 1)


def test_breaker__several_requests_failed_in_a_row__opens(context):
    intake = Intake(context)
    fail(context, 1, 2, 3, 4)
    assert admit(context, intake, row_of(context)) is DELIVER
    fail(context, 5)

    assert "R-SUB-005: the last 5 requests failed here" in admit(context, intake, row_of(context)).why


def test_breaker__one_poisonous_request__does_not_open_it(context):
    fail(context, *[1] * 20)

    assert admit(context, Intake(context), row_of(context)) is DELIVER


def test_breaker__success_in_between__starts_again(context):
    fail(context, 1, 2, 3)
    context.journal.proven(request_id(1), b"proof")
    fail(context, 4, 5)

    assert admit(context, Intake(context), row_of(context)) is DELIVER


def test_breaker__restarted__is_still_open(context):
    fail(context, 1, 2, 3, 4, 5)

    assert "R-SUB-005" in admit(context, Intake(context), row_of(context)).why


def test_breaker__after_its_pause__tries_one_and_only_that_one(context, monkeypatch):
    fail(context, 1, 2, 3, 4, 5)
    first, second = row_of(context, 6), row_of(context, 7)
    intake, wall, mono = Intake(context), time.time, time.monotonic
    assert "R-SUB-005" in admit(context, intake, first).why
    later = context.settings.breaker_pause + 1
    monkeypatch.setattr(module.time, "time", lambda: wall() + later)
    monkeypatch.setattr(module.time, "monotonic", lambda: mono() + later)

    assert admit(context, intake, first) is DELIVER
    assert "R-SUB-005" in admit(context, intake, second).why
    assert admit(context, intake, first, Step(StepKind.PROVE, "its next step")).kind is StepKind.PROVE
    context.journal.proven(first.request_id, b"proof")
    assert admit(context, intake, second) is DELIVER


def test_breaker__fails_again__pauses_longer(context, monkeypatch):
    fail(context, 1, 2, 3, 4, 5, 6, 7)
    wall = time.time
    intake, row = Intake(context), row_of(context)
    monkeypatch.setattr(module.time, "time", lambda: wall() + 4 * context.settings.breaker_pause - 5)
    assert "R-SUB-005" in admit(context, intake, row).why

    monkeypatch.setattr(module.time, "time", lambda: wall() + 4 * context.settings.breaker_pause + 5)
    assert admit(context, intake, row) is DELIVER


def test_breaker__clock_set_back__does_not_stay_open_for_that_long(context, monkeypatch):
    fail(context, 1, 2, 3, 4, 5)
    wall = time.time
    monkeypatch.setattr(module.time, "time", lambda: wall() - 3600)

    assert admit(context, Intake(context), row_of(context)) is DELIVER


# ------------------------------------------------------------------------------------------ profit


def facts(**overrides):
    return make_found(**overrides).facts(3600, 1800)


def test_cost__signed__is_delivery_finalising_and_the_bond():
    gas, price = GasUsed(), Price(10 * GWEI, ETHER, 0.05)
    wei = cost(facts(value_at_risk=ETHER), StepKind.DELIVER, gas, price, prove_all=False)

    bond = int(ETHER * 0.05 * 3600 / 31_536_000)
    assert wei == (TYPICAL["deliver"] + TYPICAL["finalise"]) * 10 * GWEI + bond


@pytest.mark.parametrize(
    ("asked", "step", "prove_all", "actions"),
    [
        ({}, StepKind.PROVE, False, ["deliver_proven"]),
        ({"min_assurance": Assurance.PROVEN}, StepKind.INFER, False, ["deliver_proven"]),
        (
            {"min_assurance": Assurance.PROVEN, "provisional": True},
            StepKind.DELIVER,
            False,
            ["deliver", "submit_proof"],
        ),
        ({"provisional": True}, StepKind.INFER, False, ["deliver", "submit_proof"]),
        ({}, StepKind.INFER, True, ["deliver", "submit_proof"]),
    ],
)
def test_cost__proof_made__counts_it_once(asked, step, prove_all, actions):
    price = Price(GWEI, ETHER, 0.0)
    wei = cost(facts(**asked), step, GasUsed(), price, prove_all=prove_all)

    assert wei == sum(TYPICAL[action] for action in actions) * GWEI + ETHER


def test_gas_used__observed__is_the_most_of_the_last_ones():
    gas = GasUsed()
    gas.observe("deliver", 900_000)
    for _ in range(20):
        gas.observe("deliver", 100_000)
    gas.observe("deliver", 120_000)

    assert gas.of(StepKind.DELIVER) == 120_000


def test_admit__only_profitable__takes_what_covers_its_cost(tmp_path):
    context, _ = context_with(tmp_path, only_profitable=True)
    wei = cost(
        facts(), StepKind.DELIVER, GasUsed(), Price(10 + context.settings.tip, 0, 0.05), prove_all=False
    )
    good, bad = row_of(context, 1, fee=wei), row_of(context, 2, fee=wei - 1)
    intake = Intake(context)

    assert admit(context, intake, good) is DELIVER
    assert f"R-SUB-004: the fee of {wei - 1} wei" in admit(context, intake, bad).why
    context.journal.close()


def test_look__nothing_to_decide_any_more__is_repeated_until_the_intake_opens(context):
    row_of(context, deadline=START)
    context.chain.wealth = 0
    asyncio.run(Decider(context).decide_all())
    assert context.monitor.intake == "closed"

    context.journal.rewind(0)
    context.journal.decide(context.journal.rows()[0], Step(StepKind.DONE, "EXPIRED"))
    context.chain.wealth = 10**30
    asyncio.run(Decider(context).decide_all())
    assert context.monitor.intake == "open"
