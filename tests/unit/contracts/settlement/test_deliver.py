from typing import Any

import pytest
from eth_keys.constants import SECPK1_N

from foretell_spec.tensor import tensor_hash
from tests.kit.chain import reverts
from tests.kit.manifest import CHALLENGE_WINDOW
from tests.kit.world import (
    BOND,
    CANCEL_DELAY,
    DEADLINE_IN,
    DELIVERED,
    DISPUTE_BOND,
    FEE,
    INPUTS,
    MIN_BOND,
    SIGNED,
    VALUE_AT_RISK,
    World,
    key_of,
)

STAKE = VALUE_AT_RISK + DISPUTE_BOND


def test_deliver__signed_by_an_operator__locks_its_stake(world: World) -> None:
    request_id = world.request()
    world.chain.mine()
    result = world.deliver(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (DELIVERED, SIGNED, world.alice.address)
    assert (stored.output_hash, stored.delivered_at) == (tensor_hash(world.right), world.chain.time)
    assert world.bond_of(world.alice).locked == STAKE
    assert world.credit(world.alice) == 0
    assert vars(result.event("Delivered")) == {
        "request_id": request_id, "operator": world.alice.address, "outputs_q": list(world.right),
        "delivered_at": world.chain.time,
    }  # fmt: skip


def test_deliver__keeps_the_rest_of_the_request(world: World) -> None:
    request_id = world.request(provisional=True, min_assurance=4, callback_gas=123_456)
    before = world.settlement.request_of(request_id)
    world.deliver(request_id)
    after = world.settlement.request_of(request_id)
    for field in ("requester", "model_id", "input_hash", "policy", "fee", "created_at", "from_receipt"):
        assert getattr(after, field) == getattr(before, field)


def test_deliver__carried_by_a_stranger__is_of_the_signer(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id, sender=world.stranger)
    assert world.settlement.request_of(request_id).operator == world.alice.address


def test_deliver__at_the_deadline__is_in_time(world: World) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN)
    world.deliver(request_id)
    assert world.status(request_id) == DELIVERED


def test_deliver__a_second_late__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN + 1)
    with reverts("settlement: deadline has passed"):
        world.deliver(request_id)


def test_deliver__unknown_request__reverts(world: World) -> None:
    with reverts("settlement: request not open"):
        world.deliver(b"\1" * 32)


def test_deliver__twice__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    with reverts("settlement: request not open"):
        world.deliver(request_id, operator=world.bob)


def test_deliver__cancelled__reverts(world: World) -> None:
    request_id = world.request(deadline=world.chain.time + 2 * CANCEL_DELAY)
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    with reverts("settlement: request not open"):
        world.deliver(request_id)


@pytest.mark.parametrize("outputs", [(), (1, 2)])
def test_deliver__wrong_size__reverts(world: World, outputs: tuple[int, ...]) -> None:
    request_id = world.request()
    signature = world.sign(world.alice, request_id, outputs)
    with reverts("settlement: wrong output size"):
        world.settlement.deliver(request_id, outputs, world.alice.address, signature)


# One field of what is signed differs: each must be bound.
@pytest.mark.parametrize(
    "field",
    [
        "chain_id",
        "verifying_contract",
        "request_id",
        "model_id",
        "input_hash",
        "output_hash",
        "seed",
        "operator",
    ],
)
def test_deliver__signature_over_another_field__reverts(world: World, field: str) -> None:
    request_id = world.request()
    others: dict[str, Any] = {
        "chain_id": 1,
        "verifying_contract": world.operators.address,
        "operator": world.bob.address,
    }
    signature = world.sign(world.alice, request_id, world.right, **{field: others.get(field, b"\1" * 32)})
    with reverts("settlement: not the operator's signature"):
        world.settlement.deliver(request_id, world.right, world.alice.address, signature)


def test_deliver__signed_by_another_key__reverts(world: World) -> None:
    request_id = world.request()
    signature = world.sign(world.bob, request_id, world.right, operator=world.alice.address)
    with reverts("settlement: not the operator's signature"):
        world.settlement.deliver(request_id, world.right, world.alice.address, signature)


def test_deliver__not_an_operator__reverts(world: World) -> None:
    request_id = world.request()
    mallory = type(world.alice)(world.stranger, key_of("mallory"))
    with reverts("operators: free bond too small"):
        world.deliver(request_id, operator=mallory)


def test_deliver__bond_below_the_minimum__reverts(world: World) -> None:
    request_id = world.request(value_at_risk=0)
    world.operators.begin_unbond(BOND - MIN_BOND + 1, sender=world.alice.address)
    with reverts("settlement: not the operator's signature"):
        world.deliver(request_id)


def test_deliver__signature_of_nobody__reverts(world: World) -> None:
    """Key recovery fails: the zero address must not pass for an operator without a signer."""
    request_id = world.request()
    nothing = b"\0" * 64 + bytes([27])
    with reverts("bundle: bad signature"):
        world.settlement.deliver(request_id, world.right, world.alice.address, nothing)


def test_deliver__malleable_twin__reverts(world: World) -> None:
    request_id = world.request()
    signature = world.sign(world.alice, request_id, world.right)
    s = int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + (SECPK1_N - s).to_bytes(32, "big") + bytes([55 - signature[64]])
    with reverts("bundle: signature is malleable"):
        world.settlement.deliver(request_id, world.right, world.alice.address, twin)


def test_deliver__bond_does_not_cover__reverts(world: World) -> None:
    request_id = world.request(value_at_risk=BOND - DISPUTE_BOND + 1)
    with reverts("operators: free bond too small"):
        world.deliver(request_id)


def test_deliver__bond_just_covers__locks_all_of_it(world: World) -> None:
    request_id = world.request(value_at_risk=BOND - DISPUTE_BOND)
    world.deliver(request_id)
    assert world.bond_of(world.alice).locked == BOND


def test_deliver__stopped_model__goes_on(world: World) -> None:
    request_id = world.request()
    world.models.stop(world.model_id, sender=world.publisher)
    world.deliver(request_id)
    assert world.status(request_id) == DELIVERED


def test_deliver__fee__stays_in_escrow(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    assert world.chain.balance(world.settlement.address) == FEE


@pytest.mark.parametrize("output", [2**127, -(2**127), 2**255 - 1, -(2**255)])
def test_deliver__output_out_of_range__reverts(world: World, output: int) -> None:
    """It could never be handed to a consumer, so the fee and the bond would stay where they are."""
    request_id = world.request()
    with reverts("tensor: number out of range"):
        world.deliver(request_id, (output,))


@pytest.mark.parametrize("output", [2**127 - 1, 1 - 2**127])
def test_deliver__largest_output__is_final_later(world: World, output: int) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    call = world.settlement.calldata("request", world.model_id, INPUTS, world.policy(), 0)
    request_id = consumer.execute(world.settlement.address, call).value
    world.deliver(request_id, (output,))
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, (output,))
    assert len(consumer.recorded()) == 1


@pytest.mark.parametrize(
    ("time", "fits"), [(2**32, True), (2**40 - 1 - CHALLENGE_WINDOW, True), (2**40, False)]
)
def test_deliver__far_in_the_future__is_final_at_a_time_that_fits(
    world: World, time: int, fits: bool
) -> None:
    world.chain.travel_to(time)
    request_id = world.request()
    if fits:
        world.deliver(request_id)
        assert world.settlement.state_of(request_id).final_at == time + CHALLENGE_WINDOW
    else:
        with reverts("requests: time out of range"):
            world.deliver(request_id)
