"""Any model, asked asynchronously: delivered, challenged, and decided by a proof."""

import ape
import pytest

ETHER = 10**18
SIGNED, PROVEN = 1, 4
WAITING, PROVISIONAL, FINAL, REVERSED = 1, 2, 3, 4
DELIVERED, DISPUTED = 2, 3
VALUE_AT_RISK = 2 * ETHER
FEE = ETHER // 100


@pytest.fixture(scope="module")
def ask(project, owner, inference):
    return owner.deploy(project.Ask, inference.settlement)


@pytest.fixture
def request_id(ask, volatility, returns, owner):
    policy = {
        "min_assurance": SIGNED,
        "provisional": True,
        "callback_gas": 400_000,
        "deadline": ape.chain.pending_timestamp + 600,
        "value_at_risk": VALUE_AT_RISK,
    }
    ask.ask_later(volatility.model_id, returns, policy, value=FEE, sender=owner)
    return ask.last_id()


def test_ask_later__nobody_delivered__waits(ask, request_id):
    assert ask.answer_of(request_id).state == WAITING


def test_deliver__right_output__is_provisional_until_proven(ask, request_id, inference):
    inference.deliver(request_id)
    assert ask.answer_of(request_id).state == PROVISIONAL

    inference.prove(request_id)
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.assurance) == (FINAL, PROVEN)


def test_deliver__lie__is_challenged_reversed_and_slashed(ask, request_id, inference):
    liar, honest = inference.operators
    right = inference.outputs(request_id)
    wrong = tuple(q + 1 for q in right)
    registry, settlement = inference.operator_registry, inference.settlement
    bond = registry.operator_info(liar.address).bond

    inference.deliver(request_id, wrong, liar)
    assert settlement.status_of(request_id) == DELIVERED
    inference.challenge(request_id, operator=honest)
    assert settlement.status_of(request_id) == DISPUTED
    receipt = inference.prove(request_id)

    (reversal,) = receipt.decode_logs(settlement.Reversed)
    assert reversal.compensation == VALUE_AT_RISK
    assert registry.operator_info(liar.address).bond == bond - VALUE_AT_RISK - settlement.dispute_bond()
    answer = ask.answer_of(request_id)
    assert (answer.state, answer.compensation) == (REVERSED, VALUE_AT_RISK)


def test_ask__through_the_precompile__stores_a_proven_answer(ask, volatility, returns, owner):
    ask.ask(volatility.model_id, returns, PROVEN, sender=owner)

    answer = ask.answer_of(ask.last_id())
    assert (answer.state, answer.assurance) == (FINAL, PROVEN)
    assert list(answer.outputs) == list(ask.peek(volatility.model_id, returns, SIGNED))


def test_ask__outside_the_models_domain__says_so(ask, volatility, returns, owner):
    with ape.reverts("inference: the input has the wrong size or lies outside the model's domain"):
        ask.ask(volatility.model_id, returns[:-1], SIGNED, sender=owner)
