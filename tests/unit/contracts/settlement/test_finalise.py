import pytest

from foretell_spec.tensor import tensor_hash
from tests.kit.chain import reverts
from tests.kit.manifest import CHALLENGE_WINDOW
from tests.kit.world import ATTESTED, BOND, FEE, FINAL, PROVEN, SIGNED, World


def test_finalise__window_over__pays_and_unlocks(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    result = world.settlement.finalise(request_id, world.right, sender=world.stranger)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, SIGNED, world.alice.address)
    assert stored.output_hash == tensor_hash(world.right)
    assert world.credit(world.alice) == FEE
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND, 0)
    assert vars(result.event("Finalised")) == {
        "request_id": request_id, "operator": world.alice.address, "output_hash": tensor_hash(world.right),
        "assurance": SIGNED,
    }  # fmt: skip


def test_finalise__a_second_early__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW - 1)
    with reverts("settlement: challenge window is open"):
        world.settlement.finalise(request_id, world.right)


def test_finalise__other_outputs__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    with reverts("settlement: another output was delivered"):
        world.settlement.finalise(request_id, world.wrong)


@pytest.mark.parametrize("min_assurance", [2, 3, PROVEN])
def test_finalise__promised_proof__reverts(world: World, min_assurance: int) -> None:
    request_id = world.request(min_assurance=min_assurance)
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    with reverts("settlement: a proof was promised"):
        world.settlement.finalise(request_id, world.right)


def test_finalise__open__reverts(world: World) -> None:
    request_id = world.request()
    with reverts("settlement: nothing to finalise"):
        world.settlement.finalise(request_id, world.right)


def test_finalise__disputed__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(CHALLENGE_WINDOW)
    with reverts("settlement: nothing to finalise"):
        world.settlement.finalise(request_id, world.right)


def test_finalise__twice__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    with reverts("settlement: nothing to finalise"):
        world.settlement.finalise(request_id, world.right)


def test_finalise__receipt_with_more_assurance__keeps_it(world: World) -> None:
    request_id = world.settle_receipt(world.infer(world.right, assurance=ATTESTED))
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    assert world.settlement.assurance_of(request_id) == ATTESTED
