from typing import Any

import pytest

from foretell_spec.tensor import tensor_hash
from tests.kit.chain import Result, reverts
from tests.kit.world import DEADLINE_IN, FEE, FINAL, PROOF, PROVEN, World


def deliver_proven(world: World, request_id: bytes, **overrides: Any) -> Result:
    outputs = overrides.get("outputs", world.right)
    values = {
        "inputs": world.inputs_q,
        "outputs": outputs,
        "operator": world.alice.address,
        "signature": world.sign(world.alice, request_id, outputs),
        "proof": PROOF,
        **overrides,
    }
    result: Result = world.settlement.deliver_proven(request_id, *values.values())
    return result


def test_deliver_proven__valid__is_final_and_locks_nothing(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.chain.mine()
    result = deliver_proven(world, request_id)

    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, world.alice.address)
    assert (stored.output_hash, stored.delivered_at) == (tensor_hash(world.right), world.chain.time)
    assert world.credit(world.alice) == FEE
    assert world.bond_of(world.alice).locked == 0
    assert result.names() == ["Delivered", "Proven", "Finalised", "FeePaid"]
    assert vars(result.event("Delivered")) == {
        "request_id": request_id, "operator": world.alice.address, "outputs_q": list(world.right),
        "delivered_at": world.chain.time,
    }  # fmt: skip
    assert vars(result.event("Finalised")) == {
        "request_id": request_id, "operator": world.alice.address, "output_hash": tensor_hash(world.right),
        "assurance": PROVEN,
    }  # fmt: skip
    assert vars(result.event("FeePaid")) == {
        "request_id": request_id, "operator": world.alice.address, "amount": FEE,
    }  # fmt: skip


def test_deliver_proven__copied_by_a_stranger__pays_the_signer(world: World) -> None:
    request_id = world.request()
    deliver_proven(world, request_id)
    assert (world.credit(world.alice), world.credit(world.stranger)) == (FEE, 0)


def test_deliver_proven__proof_under_a_copied_name__reverts(world: World) -> None:
    """Bob has Alice's proof and signature, and puts his own address in."""
    request_id = world.request()
    with reverts("settlement: not the operator's signature"):
        deliver_proven(world, request_id, operator=world.bob.address)


def test_deliver_proven__signature_of_nobody__reverts(world: World) -> None:
    """Key recovery fails: the zero address must not pass for an operator without a signer."""
    request_id = world.request()
    with reverts("bundle: bad signature"):
        deliver_proven(world, request_id, operator=world.stranger, signature=b"\0" * 64 + bytes([27]))


def test_deliver_proven__wrong_output__reverts(world: World) -> None:
    request_id = world.request()
    with reverts("verifier: proof rejected"):
        deliver_proven(world, request_id, outputs=world.wrong)


def test_deliver_proven__wrong_proof__reverts(world: World) -> None:
    request_id = world.request()
    with reverts("verifier: proof rejected"):
        deliver_proven(world, request_id, proof=b"another proof")


def test_deliver_proven__other_inputs_with_the_same_sum__reverts(world: World) -> None:
    request_id = world.request()
    inputs = (world.inputs_q[0] + 1, world.inputs_q[1] - 1)
    with reverts("settlement: another input was asked"):
        deliver_proven(world, request_id, inputs=inputs)


@pytest.mark.parametrize("late", [0, 1])
def test_deliver_proven__deadline__is_inclusive(world: World, late: int) -> None:
    request_id = world.request()
    world.chain.mine(DEADLINE_IN + late)
    if late:
        with reverts("settlement: deadline has passed"):
            deliver_proven(world, request_id)
    else:
        deliver_proven(world, request_id)
        assert world.status(request_id) == FINAL


def test_deliver_proven__delivered_already__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    with reverts("settlement: request not open"):
        deliver_proven(world, request_id)


def test_deliver_proven__wrong_size__reverts(world: World) -> None:
    request_id = world.request()
    with reverts("settlement: wrong output size"):
        deliver_proven(world, request_id, outputs=())
