"""The structs that callers pass: one changed field, and the contract knows neither request nor delivery."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from foretell_spec.settlement import Delivery, Request
from foretell_spec.terms import Terms
from tests.kit.chain import CHAIN_ID, Contract, RevertedError, reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW
from tests.kit.world import (
    CANCEL_DELAY,
    DELIVERED,
    FEE,
    FINAL,
    NONE,
    OPEN,
    PROOF,
    PROVEN,
    SIGNED,
    UNDETERMINED,
    World,
)

SOMEBODY = "0x" + "11" * 20
CHANGES: dict[str, Any] = {
    "requester": SOMEBODY,
    "nonce": 7,
    "model_id": b"\1" * 32,
    "input_hash": b"\1" * 32,
    "terms": 1,
    "min_assurance": PROVEN,
    "provisional": True,
    "callback_gas": 1,
    "deadline": 2**63,
    "value_at_risk": 0,
    "fee": 100 * FEE,
    "created_at": 1,
    "from_receipt": True,
}
"""Another value for each field of a request."""

DELIVERY_CHANGES: dict[str, Any] = {
    "operator": SOMEBODY,
    "output_hash": b"\1" * 32,
    "delivered_at": 1,
    "raised_fee": 100 * FEE,
    "challenger": SOMEBODY,
    "challenger_output_hash": b"\1" * 32,
    "disputed_at": 1,
    "compensation": 100 * FEE,
}
"""Another value for each field of a delivery."""


def changed(request: Request, field: str) -> Request:
    if hasattr(request, field):
        return replace(request, **{field: CHANGES[field]})
    return replace(request, policy=replace(request.policy, **{field: CHANGES[field]}))


@pytest.mark.parametrize("field", CHANGES)
def test_request__another_field__is_another_request(world: World, field: str) -> None:
    request_id = world.request()
    request = world.settlement.request_struct(request_id)
    assert world.settlement.request_id_of(request.words()) == request_id
    other = changed(request, field)
    assert world.settlement.request_id_of(other.words()) == other.id(CHAIN_ID, world.settlement.address)
    assert world.settlement.request_id_of(other.words()) != request_id


@pytest.mark.parametrize("field", CHANGES)
def test_cancel__another_request__reverts(world: World, field: str) -> None:
    """A forged struct never reaches the word of the true one: here a fee a hundred times larger."""
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    forged = changed(world.settlement.request_struct(request_id), field)
    with reverts("settlement: request not open"):
        world.settlement.cancel(forged.words(), sender=world.requester)


def steps(world: World, request: Any, delivery: Any) -> dict[str, tuple[Callable[[], Any], str]]:
    settlement, other = world.settlement, world.wrong
    request_id = settlement.request_id_of(request)
    signature = world.sign(world.bob, request_id, other)
    return {
        "deliver": (
            lambda: settlement.deliver(request, other, world.bob.address, signature),
            "settlement: request not open",
        ),
        "deliver_proven": (
            lambda: settlement.deliver_proven(
                request, world.inputs_q, other, world.bob.address, signature, PROOF
            ),
            "settlement: request not open",
        ),
        "raise_fee": (lambda: settlement.raise_fee(request, 1, value=1), "settlement: request not open"),
        "challenge": (
            lambda: settlement.challenge(request, delivery, other, world.bob.address, signature),
            "settlement: nothing to challenge",
        ),
        "prove": (
            lambda: settlement.prove(request, delivery, world.inputs_q, world.right, PROOF),
            "settlement: nothing to prove",
        ),
        "finalise": (
            lambda: settlement.finalise(request, delivery, world.right),
            "settlement: nothing to finalise",
        ),
        "expire": (lambda: settlement.expire(request, delivery), "settlement: nothing to expire"),
        "replay_callback": (
            lambda: settlement.replay_callback(request, delivery, world.right),
            "settlement: no failed callback",
        ),
    }


STEPS = (
    "deliver", "deliver_proven", "raise_fee", "challenge", "prove", "finalise", "expire", "replay_callback",
)  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_step__another_request__reverts(world: World, name: str) -> None:
    request_id = world.request()
    world.deliver(request_id)
    delivery = world.settlement.delivery_struct(request_id).words()
    world.chain.mine(CHALLENGE_WINDOW)
    for field in CHANGES:
        forged = changed(world.settlement.request_struct(request_id), field)
        call, reason = steps(world, forged.words(), delivery)[name]
        with reverts(reason):
            call()


@pytest.mark.parametrize("name", ["challenge", "prove", "finalise"])
@pytest.mark.parametrize("field", DELIVERY_CHANGES)
def test_step__another_delivery__reverts(world: World, name: str, field: str) -> None:
    request_id = world.request()
    world.deliver(request_id)
    if name == "finalise":
        world.chain.mine(CHALLENGE_WINDOW)
    request = world.settlement.request_struct(request_id).words()
    delivery = world.settlement.delivery_struct(request_id)
    forged = replace(delivery, **{field: DELIVERY_CHANGES[field]})
    with reverts("settlement: another delivery"):
        steps(world, request, forged.words())[name][0]()
    if name == "finalise":
        world.settlement.finalise(request_id, world.right)


@pytest.mark.parametrize("field", DELIVERY_CHANGES)
@pytest.mark.parametrize("name", ["prove", "expire"])
def test_dispute__another_delivery__reverts(world: World, name: str, field: str) -> None:
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    if name == "expire":
        world.chain.mine(PROOF_WINDOW + 1)
    request = world.settlement.request_struct(request_id).words()
    delivery = replace(world.settlement.delivery_struct(request_id), **{field: DELIVERY_CHANGES[field]})
    with reverts("settlement: another delivery"):
        steps(world, request, delivery.words())[name][0]()


@pytest.mark.parametrize("field", DELIVERY_CHANGES)
def test_expire__promised_proof__another_delivery__reverts(world: World, field: str) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    request = world.settlement.request_struct(request_id).words()
    delivery = replace(world.settlement.delivery_struct(request_id), **{field: DELIVERY_CHANGES[field]})
    with reverts("settlement: another delivery"):
        world.settlement.expire(request, delivery.words())


@pytest.mark.parametrize("field", DELIVERY_CHANGES)
def test_replay_callback__another_delivery__reverts(world: World, field: str) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    consumer.set_mode(1)
    call = world.settlement.calldata(
        "request", world.model_id, (3 * 10**18, -(10**18) // 2), world.policy(provisional=True), 0
    )
    request_id = consumer.execute(world.settlement.address, call).value
    world.deliver(request_id)
    request = world.settlement.request_struct(request_id).words()
    delivery = replace(world.settlement.delivery_struct(request_id), **{field: DELIVERY_CHANGES[field]})
    with reverts("settlement: another delivery"):
        world.settlement.replay_callback(request, delivery.words(), world.right)


@pytest.mark.parametrize(("word", "bits"), [(0, 160), (1, 64), (5, 8), (6, 1), (7, 32), (8, 64), (11, 64)])
def test_request__dirty_word__reverts(world: World, word: int, bits: int) -> None:
    """Bits above a field's width are refused, not cut off: one request has one encoding."""
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    data = bytearray(world.settlement.calldata("cancel", request_id))
    place = 4 + 32 * word
    value = int.from_bytes(data[place : place + 32]) | 1 << bits
    data[place : place + 32] = value.to_bytes(32)
    with reverts(""):
        world.chain.send(world.settlement.address, bytes(data), sender=world.requester)
    data[place : place + 32] = (value ^ 1 << bits).to_bytes(32)
    world.chain.send(world.settlement.address, bytes(data), sender=world.requester)


def test_replay_callback__another_settlement__has_other_ids(world: World) -> None:
    request = world.settlement.request_struct(world.request())
    assert request.id(CHAIN_ID, world.operators.address) != request.id(CHAIN_ID, world.settlement.address)
    assert request.id(1, world.settlement.address) != request.id(CHAIN_ID, world.settlement.address)


# ---------------------------------------------------------------------- views


def test_views__each_status(world: World) -> None:
    request_id = world.request()
    settlement = world.settlement
    state = settlement.state_of(request_id)
    assert (state.status, state.assurance, state.failed_callback) == (OPEN, NONE, 0)
    assert (state.final_at, state.raised_fee, state.commitment) == (0, 0, 0)
    world.deliver(request_id)
    state = settlement.state_of(request_id)
    assert (state.status, state.assurance) == (DELIVERED, SIGNED)
    assert state.final_at == world.chain.time + CHALLENGE_WINDOW
    assert state.commitment == settlement.delivery_struct(request_id).commitment
    assert settlement.output_hash_of(request_id) == settlement.delivery_struct(request_id).output_hash
    world.challenge(request_id, world.wrong)
    assert settlement.assurance_of(request_id) == NONE
    assert settlement.state_of(request_id).final_at == 0
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    assert settlement.state_of(request_id).status == UNDETERMINED
    assert settlement.output_hash_of(request_id) == bytes(32)


def test_views__unknown_request__are_zero(world: World) -> None:
    state = world.settlement.state_of(b"\1" * 32)
    assert set(vars(state).values()) == {0}
    assert world.status(b"\1" * 32) == 0


@pytest.mark.parametrize("early", [0, 1])
def test_status_of__window_over__reads_final_without_a_transaction(world: World, early: int) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW - early)
    assert world.status(request_id) == (DELIVERED if early else FINAL)
    assert world.settlement.state_of(request_id).status == DELIVERED
    assert world.settlement.assurance_of(request_id) == SIGNED


def test_status_of__promised_proof__never_reads_final_by_time(world: World) -> None:
    request_id = world.request(min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(10**9)
    assert world.status(request_id) == DELIVERED
    assert world.settlement.state_of(request_id).final_at == 0


def test_status_of__disputed__never_reads_final_by_time(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(10**9)
    assert world.status(request_id) == 3


def test_status_of__final_by_time__is_final_for_everybody(world: World) -> None:
    """What a consumer was told final is never reversed: no step but the payment is left."""
    request_id = world.request()
    world.deliver(request_id, world.wrong)
    world.chain.mine(CHALLENGE_WINDOW)
    assert world.status(request_id) == FINAL
    world.script(world.right)
    for step in (
        lambda: world.challenge(request_id),
        lambda: world.prove(request_id),
        lambda: world.prove(request_id, world.wrong),
        lambda: world.settlement.expire(request_id),
        lambda: world.settlement.cancel(request_id, sender=world.requester),
        lambda: world.deliver(request_id, operator=world.bob),
        lambda: world.settlement.raise_fee(request_id, 1, value=1),
    ):
        with pytest.raises(RevertedError, match="settlement: "):
            step()
    world.settlement.finalise(request_id, world.wrong)
    assert world.status(request_id) == FINAL


@pytest.mark.parametrize("field", DELIVERY_CHANGES)
def test_output_hash_of__another_delivery__reverts(world: World, field: str) -> None:
    request_id = world.request()
    world.deliver(request_id)
    forged = replace(world.settlement.delivery_struct(request_id), **{field: DELIVERY_CHANGES[field]})
    data = Contract.calldata(world.settlement, "output_hash_of", request_id, forged.words())
    with reverts("settlement: another delivery"):
        world.chain.send(world.settlement.address, data)


def test_output_hash_of__open_request__reverts(world: World) -> None:
    """Its word holds the raised fee where a commitment will be."""
    with reverts("settlement: nothing was delivered"):
        world.settlement.output_hash_of(world.request())


def test_terms__in_the_request__are_those_of_the_registry(world: World) -> None:
    request = world.settlement.request_struct(world.request())
    assert Terms.from_word(request.terms) == Terms.of(world.manifest)


def test_delivery__of_an_open_request__is_empty(world: World) -> None:
    assert world.settlement.delivery_struct(world.request()) == Delivery()
