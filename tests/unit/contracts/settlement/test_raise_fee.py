import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit.chain import reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW
from tests.kit.world import CANCEL_DELAY, DEADLINE_IN, FEE, OPEN, PROOF, PROVEN, World


def raise_fee(world: World, request_id: bytes, amount: int = FEE, **kw: object) -> object:
    return world.settlement.raise_fee(request_id, amount, **{"sender": world.stranger, "value": amount, **kw})


def test_raise_fee__open__adds_up_and_keeps_the_id(world: World) -> None:
    request_id = world.request()
    result = raise_fee(world, request_id)
    raise_fee(world, request_id, 2 * FEE)
    state = world.settlement.state_of(request_id)
    assert (state.status, state.raised_fee, state.commitment) == (OPEN, 3 * FEE, 0)
    assert world.status(request_id) == OPEN
    assert world.chain.balance(world.settlement.address) == 4 * FEE
    assert vars(result.event("FeeRaised")) == {
        "request_id": request_id, "payer": world.stranger, "amount": FEE,
    }  # fmt: skip


def test_raise_fee__finalised__is_paid_to_the_operator(world: World) -> None:
    request_id = world.request()
    raise_fee(world, request_id)
    world.deliver(request_id)
    assert world.settlement.request_of(request_id).raised_fee == FEE
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    assert world.credit(world.alice) == 2 * FEE


def test_raise_fee__delivered_with_a_proof__is_paid_to_the_operator(world: World) -> None:
    request_id = world.request()
    raise_fee(world, request_id)
    signature = world.sign(world.alice, request_id, world.right)
    world.settlement.deliver_proven(
        request_id, world.inputs_q, world.right, world.alice.address, signature, PROOF
    )
    assert world.credit(world.alice) == 2 * FEE


def test_raise_fee__cancelled__goes_back_to_the_requester(world: World) -> None:
    request_id = world.request(deadline=world.chain.time + CANCEL_DELAY)
    raise_fee(world, request_id)
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    assert (world.credit(world.requester), world.credit(world.stranger)) == (2 * FEE, 0)


def test_raise_fee__expired__goes_back_to_the_requester(world: World) -> None:
    request_id = world.request()
    raise_fee(world, request_id)
    world.chain.mine(DEADLINE_IN + 1)
    world.settlement.expire(request_id)
    assert world.credit(world.requester) == 2 * FEE


def test_raise_fee__undetermined__goes_back_to_the_requester(world: World) -> None:
    request_id = world.request(value_at_risk=0)
    raise_fee(world, request_id)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    assert world.credit(world.requester) == 2 * FEE


def test_raise_fee__nobody_right__goes_back_to_the_requester(world: World) -> None:
    request_id = world.request(value_at_risk=0)
    raise_fee(world, request_id)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id, world.also_wrong)
    world.prove(request_id)
    assert world.settlement.request_of(request_id).operator == ZERO_ADDRESS
    refunded = [event.args.amount for event in world.chain.logs if event.name == "Refunded"]
    assert refunded == [2 * FEE]


def test_raise_fee__out_of_a_credit__needs_no_ether(world: World) -> None:
    request_id = world.request()
    world.settlement.deposit(world.stranger, value=3 * FEE)
    raise_fee(world, request_id, value=0)
    assert world.credit(world.stranger) == 2 * FEE
    assert world.settlement.nonce_of(world.stranger) == 0


def test_raise_fee__credit_too_small__reverts(world: World) -> None:
    request_id = world.request()
    with reverts("accounts: credit too small"):
        raise_fee(world, request_id, value=FEE - 1)


def test_raise_fee__nothing__reverts(world: World) -> None:
    with reverts("settlement: nothing to add"):
        raise_fee(world, world.request(), 0)


def test_raise_fee__more_than_a_word_holds__reverts(world: World) -> None:
    """A fee that no credit could hold would never be paid or refunded."""
    with reverts("accounts: credit too large"):
        raise_fee(world, world.request(), 2**128)


@pytest.mark.parametrize("late", [0, 1])
def test_raise_fee__deadline__is_inclusive(world: World, late: int) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN + late)
    if late:
        with reverts("settlement: deadline has passed"):
            raise_fee(world, request_id)
    else:
        raise_fee(world, request_id)


def test_raise_fee__delivered__reverts(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    with reverts("settlement: request not open"):
        raise_fee(world, request_id)
