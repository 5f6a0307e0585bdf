"""Swaps whose fee is a model's answer: proven at once, or signed now and settled later."""

import ape
import pytest

ETHER = 10**18
SIGNED, PROVEN = 1, 4
NONE, DELIVERED, FINAL = 0, 2, 4
NO_REQUEST = b"\0" * 32
AMOUNT = ETHER


def swap_of(receipt, pool):
    (event,) = receipt.decode_logs(pool.Swapped)
    return event


def locked(inference):
    registry = inference.operator_registry
    return sum(registry.operator_info(operator.address).locked for operator in inference.operators)


def test_buy__proven__charges_the_forecast_and_leaves_no_gap(pool, token, trader, forecast):
    receipt = pool.buy(0, PROVEN, value=AMOUNT, sender=trader)

    swap = swap_of(receipt, pool)
    assert swap.assurance == PROVEN
    assert swap.fee_rate == pool.fee_rate(forecast)
    assert pool.MIN_FEE() < swap.fee_rate < pool.MAX_FEE()
    assert swap.request_id == NO_REQUEST
    assert pool.total_exposure() == 0
    assert token.balanceOf(trader) == swap.token_amount == receipt.return_value


def test_buy__signed__acts_at_once_within_the_bond(pool, trader, forecast, inference):
    swap = swap_of(pool.buy(0, SIGNED, value=AMOUNT, sender=trader), pool)

    assert swap.assurance == SIGNED
    assert swap.fee_rate == pool.fee_rate(forecast)
    assert inference.settlement.status_of(swap.request_id) == DELIVERED
    assert pool.total_exposure() == pool.value_at_risk(AMOUNT) > 0
    assert locked(inference) == pool.value_at_risk(AMOUNT) + inference.settlement.dispute_bond()


def test_buy__signed_and_proven_later__ends_the_exposure(pool, trader, inference):
    swap = swap_of(pool.buy(0, SIGNED, value=AMOUNT, sender=trader), pool)

    receipt = inference.prove(swap.request_id)

    assert [event.request_id for event in receipt.decode_logs(pool.FeeSettled)] == [swap.request_id]
    assert inference.settlement.status_of(swap.request_id) == FINAL
    assert inference.settlement.assurance_of(swap.request_id) == PROVEN
    assert pool.total_exposure() == 0
    assert locked(inference) == 0


def test_buy__signed_and_never_challenged__is_final_after_the_window(pool, trader, inference):
    swap = swap_of(pool.buy(0, SIGNED, value=AMOUNT, sender=trader), pool)

    inference.finalize(swap.request_id)

    assert inference.settlement.status_of(swap.request_id) == FINAL
    assert inference.settlement.assurance_of(swap.request_id) == SIGNED
    assert pool.total_exposure() == 0


def test_buy__signed_by_a_liar__is_reversed_and_the_trader_made_whole(
    pool, trader, forecast, inference, liar
):
    swap = swap_of(pool.buy(0, SIGNED, value=AMOUNT, sender=trader), pool)
    right_rate = pool.fee_rate(forecast)
    assert swap.fee_rate > right_rate
    bond = inference.operator_registry.operator_info(liar.address).bond

    inference.challenge(swap.request_id, operator=inference.operators[0])
    receipt = inference.prove(swap.request_id)

    (reversal,) = receipt.decode_logs(pool.FeeReversed)
    overpaid = AMOUNT * (swap.fee_rate - right_rate) // ETHER
    assert (reversal.right_fee_rate, reversal.compensation) == (right_rate, pool.value_at_risk(AMOUNT))
    assert pool.claim(sender=trader).return_value == reversal.trader_part == overpaid
    slashed = bond - inference.operator_registry.operator_info(liar.address).bond
    assert slashed == pool.value_at_risk(AMOUNT) + inference.settlement.dispute_bond()
    assert pool.total_exposure() == 0


def test_finalise__within_the_window__reverts(pool, trader, inference):
    swap = swap_of(pool.buy(0, SIGNED, value=AMOUNT, sender=trader), pool)
    outputs = list(inference.outputs(swap.request_id))

    with ape.reverts("settlement: challenge window is open"):
        request, delivery = inference.request_of(swap.request_id), inference.delivery_of(swap.request_id)
        inference.settlement.finalise(request.words(), delivery.words(), outputs, sender=trader)


@pytest.mark.parametrize("assurance", [SIGNED, PROVEN])
def test_buy__beyond_the_bond__needs_proof(make_pool, volatility, trader, inference, assurance):
    pool = make_pool(volatility.model_id, liquidity=200_000 * ETHER)
    bond = inference.operator_registry.free_bond(inference.operators[0].address)
    amount = 2 * bond * ETHER // pool.value_at_risk(ETHER)

    if assurance == PROVEN:
        assert swap_of(pool.buy(0, PROVEN, value=amount, sender=trader), pool).assurance == PROVEN
        return
    with ape.reverts("assured: bond does not cover the value at risk"):
        pool.buy(0, SIGNED, value=amount, sender=trader)


def test_sell__proven__pays_ether_less_the_fee(pool, token, owner, forecast):
    token.approve(pool, AMOUNT, sender=owner)
    before = owner.balance

    receipt = pool.sell(AMOUNT, 0, PROVEN, sender=owner)

    swap = swap_of(receipt, pool)
    fee = -(-swap.ether_amount * pool.fee_rate(forecast) // ETHER)
    assert receipt.return_value == swap.ether_amount - fee
    assert owner.balance == before + receipt.return_value - receipt.total_fees_paid


def test_buy__new_close__changes_the_fee(pool, feed, owner, trader):
    first = swap_of(pool.buy(0, PROVEN, value=AMOUNT, sender=trader), pool)
    feed.record(feed.last_day() + 1, 3_600 * ETHER, sender=owner)

    second = swap_of(pool.buy(0, PROVEN, value=AMOUNT, sender=trader), pool)

    assert second.fee_rate > first.fee_rate


def test_buy__unknown_model__says_so(make_pool, trader):
    pool = make_pool(b"\x01" * 32)

    with ape.reverts("inference: no model of this id is registered"):
        pool.buy(0, SIGNED, value=AMOUNT, sender=trader)


def test_buy__too_few_tokens__reverts(pool, trader):
    with ape.reverts("pool: too few tokens"):
        pool.buy(AMOUNT, PROVEN, value=AMOUNT, sender=trader)


def test_buy__without_ether__reverts(pool, trader):
    with ape.reverts("pool: nothing to swap"):
        pool.buy(0, PROVEN, sender=trader)


def test_buy__as_a_call__answers_without_a_transaction(pool, trader):
    block = ape.chain.blocks.height

    tokens = pool.buy.call(0, PROVEN, value=AMOUNT, sender=trader)

    assert tokens > 0
    assert ape.chain.blocks.height == block


@pytest.mark.parametrize(
    ("percent", "rate"),
    [(-(10**18), 5 * 10**14), (0, 5 * 10**14), (10**18, 25 * 10**14), (2**127, 10**16)],
)
def test_fee_rate__forecast__is_linear_between_its_bounds(pool, percent, rate):
    assert pool.fee_rate(percent) == rate


def test_on_inference_final__not_from_settlement__reverts(pool, trader):
    with ape.reverts("consumer: only settlement"):
        pool.on_inference_final(NO_REQUEST, [], PROVEN, sender=trader)
