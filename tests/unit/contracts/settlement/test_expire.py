import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.tensor import tensor_hash
from tests.kit.chain import reverts
from tests.kit.manifest import PROOF_WINDOW
from tests.kit.world import (
    BOND,
    DEADLINE_IN,
    DISPUTE_BOND,
    EXPIRED,
    FEE,
    NONE,
    PROVEN,
    UNDETERMINED,
    VALUE_AT_RISK,
    World,
)

STAKE = VALUE_AT_RISK + DISPUTE_BOND
NOTHING = b"\0" * 32


def test_expire__open_past_its_deadline__refunds(world: World) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN + 1)
    result = world.settlement.expire(request_id)
    assert world.status(request_id) == EXPIRED
    assert world.credit(world.requester) == FEE
    assert result.names() == ["Expired", "Refunded"]
    assert vars(result.event("Refunded")) == {"request_id": request_id, "to": world.requester, "amount": FEE}


def test_expire__open_at_its_deadline__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN)
    with reverts("settlement: not expired"):
        world.settlement.expire(request_id)


def test_expire__promised_proof_overdue__slashes_the_deliverer(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    result = world.settlement.expire(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (EXPIRED, NONE, ZERO_ADDRESS)
    assert (stored.output_hash, stored.compensation) == (NOTHING, STAKE)
    assert world.credit(world.requester) == FEE + STAKE
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND - STAKE, 0)
    assert vars(result.event("Reversed")) == {
        "request_id": request_id, "wrong_output_hash": tensor_hash(world.right), "right_output_hash": NOTHING,
        "compensation": STAKE,
    }  # fmt: skip
    assert result.event("Expired").request_id == request_id


def test_expire__promised_proof_still_due__reverts(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW)
    with reverts("settlement: not expired"):
        world.settlement.expire(request_id)


def test_expire__delivered_without_a_promise__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(10 * PROOF_WINDOW)
    with reverts("settlement: no proof was promised"):
        world.settlement.expire(request_id)


def test_expire__undecided_dispute__burden_of_proof_is_the_deliverers(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine()
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    result = world.settlement.expire(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (UNDETERMINED, NONE, ZERO_ADDRESS)
    assert (stored.output_hash, stored.compensation) == (NOTHING, VALUE_AT_RISK)
    assert world.credit(world.requester) == FEE + VALUE_AT_RISK
    assert world.credit(world.bob) == DISPUTE_BOND
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND - STAKE, 0)
    assert (world.bond_of(world.bob).bond, world.bond_of(world.bob).locked) == (BOND, 0)
    assert result.event("Undetermined").request_id == request_id
    assert vars(result.event("Reversed")) == {
        "request_id": request_id, "wrong_output_hash": tensor_hash(world.right), "right_output_hash": NOTHING,
        "compensation": VALUE_AT_RISK,
    }  # fmt: skip


def test_expire__dispute_still_open_to_a_proof__reverts(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine()
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW)
    with reverts("settlement: not expired"):
        world.settlement.expire(request_id)


@pytest.mark.parametrize("known", [False, True])
def test_expire__nothing_under_way__reverts(world: World, known: bool) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.prove(request_id)
    world.chain.mine(10 * PROOF_WINDOW)
    with reverts("settlement: nothing to expire"):
        world.settlement.expire(request_id if known else b"\1" * 32)


def test_expire__twice__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN + 1)
    world.settlement.expire(request_id)
    with reverts("settlement: nothing to expire"):
        world.settlement.expire(request_id)
    assert world.credit(world.requester) == FEE


def test_expire__cancelled__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(600)
    world.settlement.cancel(request_id, sender=world.requester)
    world.chain.mine()
    with reverts("settlement: nothing to expire"):
        world.settlement.expire(request_id)
