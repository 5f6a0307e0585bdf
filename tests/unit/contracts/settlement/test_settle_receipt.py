import pytest
from eth_utils import keccak

from foretell_spec.tensor import tensor_hash
from foretell_spec.terms import Terms
from tests.kit.chain import reverts
from tests.kit.manifest import CHALLENGE_WINDOW
from tests.kit.world import (
    AGREED,
    ATTESTED,
    BOND,
    DELIVERED,
    DISPUTE_BOND,
    FEE,
    FINAL,
    INPUTS,
    PROVEN,
    SIGNED,
    VALUE_AT_RISK,
    World,
)

RECEIPT_CALLBACK_GAS = 200_000


@pytest.mark.parametrize("assurance", [SIGNED, AGREED, ATTESTED])
def test_settle_receipt__not_proven__is_delivered_and_insured(world: World, assurance: int) -> None:
    receipt_id = world.infer(world.right, assurance=assurance)
    result = world.settlement.settle_receipt(
        receipt_id, world.model_id, INPUTS, VALUE_AT_RISK, sender=world.requester, value=FEE
    )

    input_hash = tensor_hash(world.inputs_q)
    request_id = result.value
    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (DELIVERED, assurance, world.alice.address)
    assert (stored.requester, stored.model_id, stored.input_hash) == (
        world.requester,
        world.model_id,
        input_hash,
    )
    assert (stored.output_hash, stored.fee, stored.from_receipt) == (tensor_hash(world.right), FEE, True)
    assert (stored.created_at, stored.delivered_at) == (world.chain.time, world.chain.time)
    assert vars(stored.policy) == {
        "min_assurance": SIGNED, "provisional": False, "callback_gas": RECEIPT_CALLBACK_GAS,
        "deadline": world.chain.time, "value_at_risk": VALUE_AT_RISK,
    }  # fmt: skip
    assert world.bond_of(world.alice).locked == VALUE_AT_RISK + DISPUTE_BOND
    assert vars(result.event("ReceiptSettled")) == {
        "request_id": request_id, "model_id": world.model_id, "requester": world.requester,
        "receipt_id": receipt_id,
        "nonce": 0, "inputs": list(INPUTS), "terms": Terms.of(world.manifest).word,
        "created_at": world.chain.time, "operator": world.alice.address,
        "output_hash": tensor_hash(world.right),
        "assurance": assurance, "value_at_risk": VALUE_AT_RISK, "fee": FEE,
    }  # fmt: skip


def test_settle_receipt__proven__is_final_and_locks_nothing(world: World) -> None:
    receipt_id = world.infer(world.right, assurance=PROVEN)
    request_id = world.settle_receipt(receipt_id, value_at_risk=1000 * BOND)
    stored = world.settlement.request_of(request_id)
    assert (stored.status, stored.assurance, stored.operator) == (FINAL, PROVEN, world.alice.address)
    assert world.bond_of(world.alice).locked == 0
    assert world.credit(world.alice) == FEE


def test_settle_receipt__next_block__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    world.chain.mine()
    with reverts("settlement: receipt not of this block"):
        world.settle_receipt(receipt_id)


def test_settle_receipt__unknown__reverts(world: World) -> None:
    with reverts("settlement: receipt not of this block"):
        world.settle_receipt(keccak(text="no receipt"))


def test_settle_receipt__of_another_model__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    other = world.register_model(world.make_manifest(metadata_hash=keccak(text="same shape")))
    with reverts("settlement: receipt of another model"):
        world.settle_receipt(receipt_id, model_id=other)


def test_settle_receipt__of_another_input__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    with reverts("settlement: receipt of another input"):
        world.settle_receipt(receipt_id, inputs=(INPUTS[0], 0))


def test_settle_receipt__bond_does_not_cover__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    with reverts("operators: free bond too small"):
        world.settle_receipt(receipt_id, value_at_risk=BOND - DISPUTE_BOND + 1)


@pytest.mark.parametrize("assurance", [SIGNED, PROVEN])
def test_settle_receipt__more_at_risk_than_any_bond__reverts(world: World, assurance: int) -> None:
    receipt_id = world.infer(world.right, assurance=assurance)
    with reverts("settlement: value at risk too large"):
        world.settle_receipt(receipt_id, value_at_risk=2**96)


def test_settle_receipt__stopped_model__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    world.models.stop(world.model_id, sender=world.publisher)
    with reverts("models: not open"):
        world.settle_receipt(receipt_id)


def test_settle_receipt__by_two__insures_both(world: World) -> None:
    receipt_id = world.infer(world.right)
    first = world.settle_receipt(receipt_id)
    second = world.settle_receipt(receipt_id, requester=world.stranger)
    assert first != second
    assert world.bond_of(world.alice).locked == 2 * (VALUE_AT_RISK + DISPUTE_BOND)


def test_settle_receipt__lie__is_challenged_and_compensated(world: World) -> None:
    request_id = world.settle_receipt(world.infer(world.wrong))
    world.chain.mine()
    world.challenge(request_id)
    world.prove(request_id)
    assert world.credit(world.requester) == VALUE_AT_RISK
    assert world.settlement.request_of(request_id).operator == world.bob.address


def test_settle_receipt__unchallenged__is_final_after_the_window(world: World) -> None:
    request_id = world.settle_receipt(world.infer(world.right))
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    assert world.status(request_id) == FINAL
    assert world.credit(world.alice) == FEE
