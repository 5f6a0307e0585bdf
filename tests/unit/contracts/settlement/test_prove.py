from copy import copy

import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.tensor import tensor_hash
from tests.kit.chain import RevertedError, reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW
from tests.kit.world import (
    BOND,
    DISPUTE_BOND,
    FEE,
    FINAL,
    PROOF,
    PROVEN,
    VALUE_AT_RISK,
    World,
    create_address,
)

STAKE = VALUE_AT_RISK + DISPUTE_BOND


def disputed(
    world: World, *, delivered: tuple[int, ...], against: tuple[int, ...], **overrides: object
) -> bytes:
    """Alice delivers one output, Bob challenges with another."""
    request_id = world.request(**overrides)
    world.deliver(request_id, delivered)
    world.chain.mine()
    world.challenge(request_id, against)
    return request_id


# ---------------------------------------------------------------------- delivered


def test_prove__delivered_output__is_final(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    result = world.prove(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, world.alice.address)
    assert stored.output_hash == tensor_hash(world.right)
    assert world.bond_of(world.alice).locked == 0
    assert world.bond_of(world.alice).bond == BOND
    assert world.credit(world.alice) == FEE
    assert result.names() == ["Proven", "Finalised", "FeePaid", "BondUnlocked"]
    assert vars(result.event("Proven")) == {
        "request_id": request_id, "output_hash": tensor_hash(world.right), "outputs_q": list(world.right),
    }  # fmt: skip


def test_prove__carried_by_a_stranger__pays_the_deliverer(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.prove(request_id, sender=world.stranger)
    assert (world.credit(world.alice), world.credit(world.stranger)) == (FEE, 0)


def test_prove__another_output_than_delivered__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    with reverts("settlement: another output was delivered"):
        world.prove(request_id, world.right)


@pytest.mark.parametrize("late", [0, 1])
def test_prove__promised_proof__end_of_the_window_is_inclusive(world: World, late: int) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW + late)
    if late:
        with reverts("settlement: proof window is over"):
            world.prove(request_id)
    else:
        world.prove(request_id)
        assert world.status(request_id) == FINAL


def test_prove__no_proof_promised__has_no_end_before_finality(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW - 1)
    world.prove(request_id)
    assert world.settlement.assurance_of(request_id) == PROVEN


def test_prove__final_by_time__reverts(world: World) -> None:
    """Status FINAL never changes, and neither does what it is worth."""
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    with reverts("settlement: result is final"):
        world.prove(request_id)


def test_prove__wrong_proof__reverts_and_nobody_is_slashed(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    with reverts("verifier: proof rejected"):
        world.prove(request_id, world.wrong)
    assert world.bond_of(world.alice).bond == BOND


@pytest.mark.parametrize("inputs", [(1, 2), ()])
def test_prove__other_inputs__reverts(world: World, inputs: tuple[int, ...]) -> None:
    request_id = world.request()
    world.deliver(request_id)
    with reverts("settlement: another input was asked"):
        world.settlement.prove(request_id, inputs, world.right, PROOF)


def test_prove__open__reverts(world: World) -> None:
    with reverts("settlement: nothing to prove"):
        world.prove(world.request())


def test_prove__final__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.prove(request_id)
    with reverts("settlement: nothing to prove"):
        world.prove(request_id)


def test_prove__verifier_answers_false__reverts(world: World) -> None:
    """Ours never does; Settlement does not rely on it."""
    says_no = world.chain.account("verifier that says no")
    world.chain.place(says_no, bytes.fromhex("60206000f3"))
    other = copy(world)
    at = create_address(world.deployer, world.chain.evm.basic(world.deployer).nonce + 2)
    other.operators = world.deploy("OperatorRegistry.vy", at, 1, 1)
    disputes = world.deploy("Disputes.vy", other.operators.address, says_no, DISPUTE_BOND)
    other.settlement = world.deploy_settlement(disputes.address)
    other.operators.register(world.alice.signer, BOND, sender=world.alice.address, value=BOND)
    request_id = other.request()
    other.deliver(request_id)
    with reverts("settlement: proof rejected"):
        other.prove(request_id)


# ---------------------------------------------------------------------- disputed


def test_prove__deliverer_right__challenger_pays_it(world: World) -> None:
    request_id = disputed(world, delivered=world.right, against=world.wrong)
    result = world.prove(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, world.alice.address)
    assert (stored.output_hash, stored.compensation) == (tensor_hash(world.right), 0)
    assert world.credit(world.alice) == FEE + DISPUTE_BOND
    assert world.credit(world.requester) == 0
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND, 0)
    assert (world.bond_of(world.bob).bond, world.bond_of(world.bob).locked) == (BOND - DISPUTE_BOND, 0)
    assert "Reversed" not in result.names()
    assert vars(result.event("Slashed")) == {
        "request_id": request_id, "operator": world.bob.address, "to": world.alice.address,
        "amount": DISPUTE_BOND,
    }  # fmt: skip


def test_prove__challenger_right__requester_is_made_whole_first(world: World) -> None:
    request_id = disputed(world, delivered=world.wrong, against=world.right)
    result = world.prove(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, world.bob.address)
    assert (stored.output_hash, stored.compensation) == (tensor_hash(world.right), VALUE_AT_RISK)
    assert world.credit(world.requester) == VALUE_AT_RISK
    assert world.credit(world.bob) == FEE + DISPUTE_BOND
    assert world.credit(world.alice) == 0
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND - STAKE, 0)
    assert (world.bond_of(world.bob).bond, world.bond_of(world.bob).locked) == (BOND, 0)
    assert vars(result.event("Reversed")) == {
        "request_id": request_id, "wrong_output_hash": tensor_hash(world.wrong),
        "right_output_hash": tensor_hash(world.right), "compensation": VALUE_AT_RISK,
    }  # fmt: skip
    slashes = [event.args for event in result.events if event.name == "Slashed"]
    assert [(slash.operator, slash.to, slash.amount) for slash in slashes] == [
        (world.alice.address, world.requester, VALUE_AT_RISK),
        (world.alice.address, world.bob.address, DISPUTE_BOND),
    ]


def test_prove__neither_right__both_pay_the_requester(world: World) -> None:
    request_id = disputed(world, delivered=world.wrong, against=world.also_wrong)
    result = world.prove(request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, ZERO_ADDRESS)
    assert stored.output_hash == tensor_hash(world.right)
    assert stored.compensation == VALUE_AT_RISK + 2 * DISPUTE_BOND
    assert world.credit(world.requester) == FEE + VALUE_AT_RISK + 2 * DISPUTE_BOND
    assert world.credit(world.alice) == world.credit(world.bob) == 0
    assert (world.bond_of(world.alice).bond, world.bond_of(world.alice).locked) == (BOND - STAKE, 0)
    assert (world.bond_of(world.bob).bond, world.bond_of(world.bob).locked) == (BOND - DISPUTE_BOND, 0)
    assert result.event("Reversed").compensation == VALUE_AT_RISK + 2 * DISPUTE_BOND
    assert vars(result.event("Refunded")) == {"request_id": request_id, "to": world.requester, "amount": FEE}


@pytest.mark.parametrize("late", [0, 1])
def test_prove__dispute__window_counts_from_the_challenge_inclusive(world: World, late: int) -> None:
    request_id = disputed(world, delivered=world.wrong, against=world.right)
    world.chain.mine(PROOF_WINDOW + late)
    if late:
        with reverts("settlement: proof window is over"):
            world.prove(request_id)
    else:
        world.prove(request_id)
        assert world.status(request_id) == FINAL


def test_prove__dispute__wrong_output_cannot_be_proven(world: World) -> None:
    request_id = disputed(world, delivered=world.wrong, against=world.right)
    with reverts("verifier: proof rejected"):
        world.prove(request_id, world.wrong)


def test_prove__dispute__too_little_gas_decides_nothing(world: World) -> None:
    """Whatever gas an attacker gives: the whole call reverts, or the proof decides. Nothing in between."""
    request_id = disputed(world, delivered=world.right, against=world.wrong)
    outcomes = set()
    for gas in range(30_000, 330_000, 3_000):
        with world.chain.isolate():
            try:
                world.prove(request_id, gas=gas)
            except RevertedError:
                assert world.bond_of(world.bob).bond == world.bond_of(world.alice).bond == BOND
                outcomes.add("reverted")
            else:
                assert world.settlement.request_of(request_id).operator == world.alice.address
                outcomes.add("decided")
    assert outcomes == {"reverted", "decided"}


def test_prove__slash_while_the_bond_is_leaving__still_pays(world: World) -> None:
    request_id = disputed(world, delivered=world.wrong, against=world.right)
    world.operators.begin_unbond(BOND, sender=world.alice.address)
    world.prove(request_id)
    assert world.credit(world.requester) == VALUE_AT_RISK
