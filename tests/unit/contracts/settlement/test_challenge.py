import pytest

from foretell_spec.tensor import tensor_hash
from tests.kit.chain import reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW
from tests.kit.world import BOND, DISPUTE_BOND, DISPUTED, MIN_BOND, NONE, PROVEN, VALUE_AT_RISK, World


def delivered(world: World, **overrides: object) -> bytes:
    request_id = world.request(**overrides)
    world.deliver(request_id, world.wrong)
    return request_id


def test_challenge__other_output__opens_a_dispute(world: World) -> None:
    request_id = delivered(world)
    world.chain.mine()
    result = world.challenge(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance) == (DISPUTED, NONE)
    assert (stored.operator, stored.output_hash) == (world.alice.address, tensor_hash(world.wrong))
    assert (stored.challenger, stored.challenger_output_hash) == (world.bob.address, tensor_hash(world.right))
    assert stored.disputed_at == world.chain.time
    assert stored.delivered_at == world.chain.time - 12
    assert world.bond_of(world.bob).locked == DISPUTE_BOND
    assert world.bond_of(world.alice).locked == VALUE_AT_RISK + DISPUTE_BOND
    assert vars(result.event("Challenged")) == {
        "request_id": request_id, "operator": world.bob.address, "outputs_q": list(world.right),
        "disputed_at": world.chain.time,
    }  # fmt: skip


def test_challenge__front_run_by_a_stranger__is_still_of_the_signer(world: World) -> None:
    request_id = delivered(world)
    world.challenge(request_id, sender=world.stranger)
    assert world.settlement.request_of(request_id).challenger == world.bob.address


def test_challenge__copied_under_another_name__reverts(world: World) -> None:
    request_id = delivered(world)
    signature = world.sign(world.bob, request_id, world.right)
    with reverts("settlement: not the operator's signature"):
        world.settlement.challenge(request_id, world.right, world.carol.address, signature)


@pytest.mark.parametrize("late", [-1, 0])
def test_challenge__end_of_the_window__is_exclusive(world: World, late: int) -> None:
    request_id = delivered(world)
    world.chain.mine(CHALLENGE_WINDOW + late)
    if late < 0:
        world.challenge(request_id)
        assert world.status(request_id) == DISPUTED
    else:
        with reverts("settlement: challenge window is over"):
            world.challenge(request_id)


@pytest.mark.parametrize("late", [0, 1])
def test_challenge__promised_proof_overdue__reverts(world: World, late: int) -> None:
    """Otherwise a deliverer would dodge its slash by having itself challenged."""
    request_id = delivered(world, min_assurance=PROVEN)
    world.chain.mine(PROOF_WINDOW + late)
    if late:
        with reverts("settlement: proof window is over"):
            world.challenge(request_id)
    else:
        world.challenge(request_id)
        assert world.status(request_id) == DISPUTED


def test_challenge__same_output__reverts(world: World) -> None:
    request_id = delivered(world)
    with reverts("settlement: outputs are the same"):
        world.challenge(request_id, world.wrong)


def test_challenge__by_the_deliverer__reverts(world: World) -> None:
    request_id = delivered(world)
    with reverts("settlement: operator delivered it"):
        world.challenge(request_id, operator=world.alice)


def test_challenge__wrong_size__reverts(world: World) -> None:
    request_id = delivered(world)
    with reverts("settlement: wrong output size"):
        world.challenge(request_id, (1, 2))


def test_challenge__output_out_of_range__reverts(world: World) -> None:
    request_id = delivered(world)
    with reverts("tensor: number out of range"):
        world.challenge(request_id, (2**127,))


def test_challenge__without_a_bond__reverts(world: World) -> None:
    request_id = delivered(world)
    poor = world.register_operator("poor", cap=DISPUTE_BOND - 1)
    with reverts("operators: free bond too small"):
        world.challenge(request_id, operator=poor)


def test_challenge__by_a_leaving_operator__reverts(world: World) -> None:
    request_id = delivered(world)
    world.operators.begin_unbond(BOND - MIN_BOND + 1, sender=world.bob.address)
    with reverts("settlement: not the operator's signature"):
        world.challenge(request_id)


def test_challenge__open_request__reverts(world: World) -> None:
    with reverts("settlement: nothing to challenge"):
        world.challenge(world.request())


def test_challenge__disputed__reverts(world: World) -> None:
    request_id = delivered(world)
    world.challenge(request_id)
    with reverts("settlement: nothing to challenge"):
        world.challenge(request_id, world.also_wrong, world.carol)


def test_challenge__final__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.prove(request_id)
    with reverts("settlement: nothing to challenge"):
        world.challenge(request_id, world.wrong)
