"""Two signatures of one key over different outputs for one request."""

from typing import Any

import pytest

from foretell_spec.bundle import batch_digest, bundle_struct_hash, sign_digest
from foretell_spec.request import NO_SEED
from foretell_spec.tensor import tensor_hash
from tests.kit.chain import CHAIN_ID, Result, reverts
from tests.kit.manifest import PROOF_WINDOW
from tests.kit.world import (
    BOND,
    CANCEL_DELAY,
    DELIVERED,
    DISPUTE_BOND,
    FEE,
    UNBONDING_PERIOD,
    VALUE_AT_RISK,
    OperatorAccount,
    World,
)

HALF = DISPUTE_BOND // 2


def statement(
    world: World, request_id: bytes, outputs: tuple[int, ...], who: OperatorAccount | None = None, **kw: Any
) -> dict[str, Any]:
    """One signed output, alone under its signature."""
    signature = world.sign(who or world.alice, request_id, outputs, **kw)
    return {
        "output_hash": tensor_hash(outputs), "struct_hashes": [], "position": 0, "signature": signature,
    }  # fmt: skip


def in_batch(world: World, request_id: bytes, outputs: tuple[int, ...], **overrides: Any) -> dict[str, Any]:
    """One signed output, the second of three under one signature."""
    own = bundle_struct_hash(
        request_id, world.model_id, tensor_hash(world.inputs_q), tensor_hash(outputs), NO_SEED,
        world.alice.address,
    )  # fmt: skip
    hashes = [b"\1" * 32, own, b"\2" * 32]
    signature = sign_digest(world.alice.key, batch_digest(CHAIN_ID, world.settlement.address, hashes))
    return {
        "output_hash": tensor_hash(outputs), "struct_hashes": hashes, "position": 1, "signature": signature,
        **overrides,
    }  # fmt: skip


def show(world: World, request_id: bytes, first: Any = None, second: Any = None, **kw: Any) -> Result:
    first = first or statement(world, request_id, world.right)
    second = second or statement(world, request_id, world.wrong)
    result: Result = world.settlement.equivocate(
        request_id, world.alice.address, first, second, **{"sender": world.stranger, **kw}
    )
    return result


def test_equivocate__open_request__fines_the_operator(world: World) -> None:
    request_id = world.request()
    result = show(world, request_id)
    assert world.bond_of(world.alice).bond == BOND - DISPUTE_BOND
    assert (world.credit(world.requester), world.credit(world.stranger)) == (HALF, HALF)
    assert world.chain.balance(world.settlement.address) == FEE + DISPUTE_BOND
    assert vars(result.event("Equivocated")) == {
        "request_id": request_id, "operator": world.alice.address, "reporter": world.stranger,
        "first_output_hash": tensor_hash(world.right), "second_output_hash": tensor_hash(world.wrong),
    }  # fmt: skip
    slashed = [(e.args.to, e.args.amount) for e in result.events if e.name == "Slashed"]
    assert slashed == [(world.requester, HALF), (world.stranger, HALF)]


def test_equivocate__delivered__leaves_the_stake_to_the_requester(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    show(world, request_id)
    stored = world.bond_of(world.alice)
    assert (stored.bond, stored.locked) == (BOND - DISPUTE_BOND, VALUE_AT_RISK + DISPUTE_BOND)
    assert world.status(request_id) == DELIVERED
    world.challenge(request_id)
    world.prove(request_id)
    assert world.credit(world.requester) == HALF + VALUE_AT_RISK


def test_equivocate__after_the_end__still_fines(world: World) -> None:
    request_id = world.request(deadline=world.chain.time + CANCEL_DELAY)
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    show(world, request_id)
    assert world.bond_of(world.alice).bond == BOND - DISPUTE_BOND


@pytest.mark.parametrize("swap", [False, True])
def test_equivocate__again__reverts(world: World, swap: bool) -> None:
    """Once for a request, whichever outputs are shown, in whichever order."""
    request_id = world.request()
    show(world, request_id)
    third = statement(world, request_id, world.also_wrong)
    with reverts("settlement: fined already"):
        show(world, request_id, second=third)
    if swap:
        with reverts("settlement: fined already"):
            show(world, request_id, third, statement(world, request_id, world.right))


def test_equivocate__in_two_requests__fines_twice(world: World) -> None:
    for _ in range(2):
        show(world, world.request())
    assert world.bond_of(world.alice).bond == BOND - 2 * DISPUTE_BOND


def test_equivocate__two_operators__each_is_fined(world: World) -> None:
    request_id = world.request()
    show(world, request_id)
    statements = [statement(world, request_id, each, world.bob) for each in (world.right, world.wrong)]
    world.settlement.equivocate(request_id, world.bob.address, *statements)
    assert world.bond_of(world.bob).bond == BOND - DISPUTE_BOND


def test_equivocate__by_the_operator_itself__still_costs_half(world: World) -> None:
    show(world, world.request(), sender=world.alice.address)
    assert world.credit(world.alice) == HALF


def test_equivocate__same_output_twice__reverts(world: World) -> None:
    request_id = world.request()
    same = statement(world, request_id, world.right)
    with reverts("settlement: outputs are the same"):
        show(world, request_id, same, in_batch(world, request_id, world.right))


def test_equivocate__two_operators_one_output_each__reverts(world: World) -> None:
    """Two people who differ are a dispute, not an equivocation."""
    request_id = world.request()
    with reverts("settlement: not the operator's signature"):
        show(world, request_id, second=statement(world, request_id, world.wrong, world.bob))


@pytest.mark.parametrize("position", ["first", "second"])
def test_equivocate__signature_for_another_request__reverts(world: World, position: str) -> None:
    request_id, other_id = world.request(), world.request()
    outputs = world.right if position == "first" else world.wrong
    with reverts("settlement: not the operator's signature"):
        show(world, request_id, **{position: statement(world, other_id, outputs)})


def test_equivocate__request_that_nobody_opened__reverts(world: World) -> None:
    unknown = world.settlement.request_struct(b"\1" * 32)
    with reverts("settlement: unknown request"):
        show(world, unknown.id(CHAIN_ID, world.settlement.address))


def test_equivocate__leaving_operator__is_fined_until_the_bond_has_left(world: World) -> None:
    request_id = world.request()
    world.operators.begin_unbond(BOND, sender=world.alice.address)
    with world.chain.isolate():
        show(world, request_id)
        stored = world.bond_of(world.alice)
        assert stored.bond == stored.unbonding == BOND - DISPUTE_BOND
    world.chain.mine(UNBONDING_PERIOD)
    world.operators.finish_unbond(sender=world.alice.address)
    with reverts("operators: no bond left"):
        show(world, request_id)


def test_equivocate__bond_that_covers_others__is_left_to_them(world: World) -> None:
    request_id = world.request(value_at_risk=BOND - DISPUTE_BOND - 7)
    world.deliver(request_id)
    show(world, request_id)
    stored = world.bond_of(world.alice)
    assert stored.bond == stored.locked == BOND - 7
    assert (world.credit(world.requester), world.credit(world.stranger)) == (4, 3)


def test_equivocate__all_bond_is_locked__reverts_and_can_be_shown_later(world: World) -> None:
    request_id = world.request(value_at_risk=BOND - DISPUTE_BOND)
    world.deliver(request_id)
    with reverts("operators: no bond left"):
        show(world, request_id)
    world.prove(request_id)
    show(world, request_id)
    assert world.bond_of(world.alice).bond == BOND - DISPUTE_BOND


# ---------------------------------------------------------------------- evidence out of batches


def test_equivocate__one_of_them_in_a_batch__fines_the_operator(world: World) -> None:
    request_id = world.request()
    show(world, request_id, second=in_batch(world, request_id, world.wrong))
    assert world.bond_of(world.alice).bond == BOND - DISPUTE_BOND


def test_equivocate__both_in_batches__fines_the_operator(world: World) -> None:
    request_id = world.request()
    show(
        world,
        request_id,
        in_batch(world, request_id, world.right),
        in_batch(world, request_id, world.wrong),
    )
    assert world.bond_of(world.alice).bond == BOND - DISPUTE_BOND


@pytest.mark.parametrize("position", [0, 2, 3, 2**256 - 1])
def test_equivocate__another_place_in_the_batch__reverts(world: World, position: int) -> None:
    request_id = world.request()
    with reverts("settlement: not in the batch"):
        show(world, request_id, second=in_batch(world, request_id, world.wrong, position=position))


def test_equivocate__another_output_than_in_the_batch__reverts(world: World) -> None:
    request_id = world.request()
    forged = in_batch(world, request_id, world.wrong, output_hash=tensor_hash(world.also_wrong))
    with reverts("settlement: not in the batch"):
        show(world, request_id, second=forged)


def test_equivocate__batch_with_a_member_that_was_not_signed__reverts(world: World) -> None:
    request_id = world.request()
    signed = in_batch(world, request_id, world.wrong)
    longer = {**signed, "struct_hashes": [*signed["struct_hashes"], b"\3" * 32]}
    with reverts("settlement: not the operator's signature"):
        show(world, request_id, second=longer)


def test_equivocate__struct_hash_alone_as_a_batch__reverts(world: World) -> None:
    """A bundle's signature covers no batch of one."""
    request_id = world.request()
    single = statement(world, request_id, world.wrong)
    own = in_batch(world, request_id, world.wrong)["struct_hashes"][1]
    with reverts("settlement: not the operator's signature"):
        show(world, request_id, second={**single, "struct_hashes": [own]})


def test_equivocate__undetermined__comes_on_top(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    show(world, request_id)
    assert world.bond_of(world.alice).bond == BOND - VALUE_AT_RISK - 2 * DISPUTE_BOND
