"""Many requests in a transaction: opened, delivered under one signature, and paid for together."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from foretell_spec.bundle import batch_digest, bundle_struct_hash, sign_digest
from foretell_spec.request import NO_SEED
from foretell_spec.settlement import Delivery, Request, batch_of
from foretell_spec.tensor import WAD, dequantise, quantise, tensor_hash
from tests.kit.chain import CHAIN_ID, Contract, Result, reverts
from tests.kit.manifest import CHALLENGE_WINDOW, SCALE
from tests.kit.world import (
    CANCEL_DELAY,
    CANCELLED,
    DEADLINE_IN,
    DELIVERED,
    DISPUTE_BOND,
    DISPUTED,
    FEE,
    FINAL,
    OPEN,
    PROVEN,
    SIGNED,
    VALUE_AT_RISK,
    OperatorAccount,
    World,
)

COUNT = 3
STAKE = VALUE_AT_RISK + DISPUTE_BOND
NUMBERS = tuple(WAD * i for i in range(2 * COUNT))


@dataclass
class Batch:
    """Requests that were opened together."""

    world: World
    ids: list[bytes]

    @property
    def requests(self) -> list[Request]:
        return [self.world.settlement.request_struct(each) for each in self.ids]

    @property
    def input_hashes(self) -> list[bytes]:
        return [request.input_hash for request in self.requests]

    @property
    def outputs(self) -> list[int]:
        inputs = quantise(NUMBERS, SCALE)
        return [sum(inputs[2 * i : 2 * i + 2]) for i in range(len(self.ids))]

    def struct_hashes(self, operator: OperatorAccount, outputs: list[int]) -> list[bytes]:
        return [
            bundle_struct_hash(
                request_id, self.world.model_id, request.input_hash, tensor_hash((output,)), NO_SEED,
                operator.address,
            )
            for request_id, request, output in zip(self.ids, self.requests, outputs, strict=True)
        ]  # fmt: skip

    def sign(self, operator: OperatorAccount, outputs: list[int]) -> bytes:
        hashes = self.struct_hashes(operator, outputs)
        digest = batch_digest(CHAIN_ID, self.world.settlement.address, hashes)
        return sign_digest(operator.key, digest)

    def deliver(self, **overrides: Any) -> Result:
        alice = self.world.alice
        values = {
            "first": self.requests[0].words(),
            "input_hashes": self.input_hashes,
            "outputs": self.outputs,
            "operator": alice.address,
            "signature": self.sign(alice, self.outputs),
            **overrides,
        }
        result: Result = self.world.settlement.deliver_many(*values.values())
        return result

    def finalise(self, **overrides: Any) -> Result:
        delivery = self.world.settlement.delivery_struct(self.ids[0])
        values = {
            "first": self.requests[0].words(),
            "input_hashes": self.input_hashes,
            "delivery": delivery.words(),
            "outputs": self.outputs,
            **overrides,
        }
        result: Result = self.world.settlement.finalise_many(*values.values())
        return result

    def statuses(self) -> list[int]:
        return [self.world.settlement.state_of(each).status for each in self.ids]


def ask(world: World, requester: str | None = None, **overrides: Any) -> Batch:
    call = (world.model_id, NUMBERS, COUNT, world.policy(**overrides), FEE)
    result = world.settlement.request_many(*call, sender=requester or world.requester, value=COUNT * FEE)
    return Batch(world, result.value)


# ---------------------------------------------------------------------- request_many


def test_request_many__opens_as_many_single_requests_would(world: World) -> None:
    with world.chain.isolate():
        single = [
            world.settlement.request(
                world.model_id, NUMBERS[2 * i : 2 * i + 2], world.policy(), value=FEE, sender=world.requester
            )
            for i in range(COUNT)
        ]
        events = [vars(result.event("Requested")) for result in single]
    batch = ask(world)
    assert batch.ids == [result.value for result in single]
    made = [vars(event.args) for event in world.chain.logs if event.name == "Requested"][-COUNT:]
    assert made == events
    assert batch.statuses() == [OPEN] * COUNT
    assert world.settlement.nonce_of(world.requester) == COUNT
    assert world.chain.balance(world.settlement.address) == COUNT * FEE


def test_request_many__fees__are_all_paid(world: World) -> None:
    call = (world.model_id, NUMBERS, COUNT, world.policy(), FEE)
    with reverts("accounts: credit too small"):
        world.settlement.request_many(*call, sender=world.requester, value=COUNT * FEE - 1)


def test_request_many__fees_that_overflow__revert(world: World) -> None:
    call = (world.model_id, NUMBERS, COUNT, world.policy(), 2**255)
    with reverts(""):
        world.settlement.request_many(*call, sender=world.requester)


@pytest.mark.parametrize("count", [0, 101])
def test_request_many__count_out_of_range__reverts(world: World, count: int) -> None:
    call = (world.model_id, (0,) * (2 * count), count, world.policy(), 0)
    with reverts("settlement: batch size out of range"):
        world.settlement.request_many(*call, sender=world.requester)


def test_request_many__largest_count__opens_all(world: World) -> None:
    call = (world.model_id, (0,) * 200, 100, world.policy(), 0)
    ids = world.settlement.request_many(*call, sender=world.requester).value
    assert len(set(ids)) == 100
    assert {world.status(each) for each in ids} == {OPEN}


@pytest.mark.parametrize("inputs", [NUMBERS[:-1], (*NUMBERS, 0), ()])
def test_request_many__numbers_that_do_not_divide__revert(world: World, inputs: tuple[int, ...]) -> None:
    with reverts("models: wrong input size"):
        world.settlement.request_many(
            world.model_id, inputs, COUNT, world.policy(), 0, sender=world.requester
        )


def test_request_many__one_input_out_of_bounds__reverts(world: World) -> None:
    inputs = (*NUMBERS[:-1], 1001 * WAD)
    with reverts("models: input out of bounds"):
        world.settlement.request_many(
            world.model_id, inputs, COUNT, world.policy(), 0, sender=world.requester
        )


def test_request_many__bad_policy__reverts(world: World) -> None:
    with reverts("settlement: assurance out of range"):
        ask(world, min_assurance=0)


# ---------------------------------------------------------------------- deliver_many


def test_deliver_many__is_as_many_single_deliveries(world: World) -> None:
    batch = ask(world)
    world.chain.mine()
    result = batch.deliver()
    assert batch.statuses() == [DELIVERED] * COUNT
    assert world.bond_of(world.alice).locked == COUNT * STAKE
    locks = [event.args.amount for event in result.events if event.name == "BondLocked"]
    assert locks == [COUNT * STAKE]
    for request_id, output in zip(batch.ids, batch.outputs, strict=True):
        stored = world.settlement.request_of(request_id)
        assert (stored.operator, stored.output_hash) == (world.alice.address, tensor_hash((output,)))
        assert (stored.delivered_at, stored.assurance) == (world.chain.time, SIGNED)
        assert stored.final_at == world.chain.time + CHALLENGE_WINDOW


def test_deliver_many__each_can_be_challenged_and_proven(world: World) -> None:
    batch = ask(world)
    wrong = [batch.outputs[0], batch.outputs[1] + 1, batch.outputs[2]]
    batch.deliver(outputs=wrong, signature=batch.sign(world.alice, wrong))
    right, inputs = (batch.outputs[1],), quantise(NUMBERS[2:4], SCALE)
    signature = world.sign(world.bob, batch.ids[1], right, input_hash=tensor_hash(inputs))
    world.settlement.challenge(batch.ids[1], right, world.bob.address, signature)
    assert batch.statuses() == [DELIVERED, DISPUTED, DELIVERED]
    world.settlement.prove(batch.ids[1], inputs, right, b"valid proof")
    assert world.credit(world.bob) == FEE + DISPUTE_BOND
    assert world.bond_of(world.alice).locked == 2 * STAKE


def test_deliver_many__part_of_a_batch__leaves_the_rest_open(world: World) -> None:
    batch = ask(world)
    Batch(world, batch.ids[:2]).deliver()
    assert batch.statuses() == [DELIVERED, DELIVERED, OPEN]


def test_deliver_many__from_the_middle__counts_from_its_nonce(world: World) -> None:
    batch = ask(world)
    part = Batch(world, batch.ids[1:])
    outputs = batch.outputs[1:]
    part.deliver(outputs=outputs, signature=part.sign(world.alice, outputs))
    assert batch.statuses() == [OPEN, DELIVERED, DELIVERED]


def test_deliver_many__one_is_not_open__the_others_are_delivered(world: World) -> None:
    """A requester who cancels one, or a rival who delivers one, does not spoil the batch."""
    batch = ask(world, deadline=world.chain.time + CANCEL_DELAY)
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(batch.ids[1], sender=world.requester)
    batch.deliver()
    assert batch.statuses() == [DELIVERED, CANCELLED, DELIVERED]
    assert world.bond_of(world.alice).locked == 2 * STAKE


def test_deliver_many__none_is_open__reverts(world: World) -> None:
    batch = ask(world)
    batch.deliver()
    with reverts("settlement: request not open"):
        batch.deliver()


def test_deliver_many__of_nothing__reverts(world: World) -> None:
    batch = ask(world)
    with reverts("settlement: request not open"):
        batch.deliver(input_hashes=[], outputs=[], signature=b"\0" * 65)


def test_deliver_many__raised_fee__is_kept_with_its_request(world: World) -> None:
    batch = ask(world)
    world.settlement.raise_fee(batch.ids[2], FEE, value=FEE)
    batch.deliver()
    assert [world.settlement.request_of(each).raised_fee for each in batch.ids] == [0, 0, FEE]


@pytest.mark.parametrize("late", [0, 1])
def test_deliver_many__deadline__is_inclusive(world: World, late: int) -> None:
    batch = ask(world)
    world.chain.mine(DEADLINE_IN + late)
    if late:
        with reverts("settlement: deadline has passed"):
            batch.deliver()
    else:
        batch.deliver()


@pytest.mark.parametrize("change", [-1, 1])
def test_deliver_many__wrong_number_of_outputs__reverts(world: World, change: int) -> None:
    batch = ask(world)
    with reverts("settlement: wrong output size"):
        batch.deliver(outputs=[0] * (COUNT + change))


def test_deliver_many__output_out_of_range__reverts(world: World) -> None:
    batch = ask(world)
    outputs = [*batch.outputs[:-1], 2**127]
    with reverts("tensor: number out of range"):
        batch.deliver(outputs=outputs, signature=batch.sign(world.alice, outputs))


def test_deliver_many__another_output_than_signed__reverts(world: World) -> None:
    batch = ask(world)
    with reverts("settlement: not the operator's signature"):
        batch.deliver(outputs=[*batch.outputs[:-1], 0])


def test_deliver_many__signature_of_a_single_bundle__reverts(world: World) -> None:
    batch = Batch(world, ask(world).ids[:1])
    signature = world.sign(world.alice, batch.ids[0], batch.outputs[:1], input_hash=batch.input_hashes[0])
    with reverts("settlement: not the operator's signature"):
        batch.deliver(signature=signature)


def test_deliver__signature_of_a_batch_of_one__reverts(world: World) -> None:
    batch = Batch(world, ask(world).ids[:1])
    signature = batch.sign(world.alice, batch.outputs)
    with reverts("settlement: not the operator's signature"):
        world.settlement.deliver(batch.ids[0], batch.outputs, world.alice.address, signature)


def test_deliver_many__under_another_name__reverts(world: World) -> None:
    batch = ask(world)
    with reverts("settlement: not the operator's signature"):
        batch.deliver(operator=world.bob.address)


def test_deliver_many__bond_covers_all_but_one__reverts(world: World) -> None:
    batch = ask(world)
    poor = world.register_operator("poor", bond=COUNT * STAKE - 1)
    with reverts("operators: free bond too small"):
        batch.deliver(operator=poor.address, signature=batch.sign(poor, batch.outputs))


def test_deliver_many__bond_just_covers__locks_all_of_it(world: World) -> None:
    batch = ask(world)
    poor = world.register_operator("poor", bond=COUNT * STAKE)
    batch.deliver(operator=poor.address, signature=batch.sign(poor, batch.outputs))
    assert world.operators.free_bond(poor.address) == 0


def test_deliver_many__same_hash_twice__is_a_request_that_nobody_opened(world: World) -> None:
    """Each place has a nonce of its own, so no request can stand in a batch twice."""
    batch = ask(world)
    hashes = [batch.input_hashes[0]] * 2
    outputs = [batch.outputs[0]] * 2
    twin = replace(batch.requests[0], nonce=1).id(CHAIN_ID, world.settlement.address)
    structs = [
        bundle_struct_hash(
            request_id, world.model_id, hashes[0], tensor_hash(outputs[:1]), NO_SEED, world.alice.address
        )
        for request_id in (batch.ids[0], twin)
    ]
    signature = sign_digest(world.alice.key, batch_digest(CHAIN_ID, world.settlement.address, structs))
    batch.deliver(input_hashes=hashes, outputs=outputs, signature=signature)
    assert world.bond_of(world.alice).locked == STAKE
    assert world.status(twin) == 0


# ---------------------------------------------------------------------- finalise_many


@pytest.fixture
def delivered(world: World) -> Batch:
    batch = ask(world)
    batch.deliver()
    world.chain.mine(CHALLENGE_WINDOW)
    return batch


def test_finalise_many__pays_and_unlocks_all(world: World, delivered: Batch) -> None:
    result = delivered.finalise()
    assert delivered.statuses() == [FINAL] * COUNT
    assert world.credit(world.alice) == COUNT * FEE
    assert world.bond_of(world.alice).locked == 0
    unlocks = [event.args.amount for event in result.events if event.name == "BondUnlocked"]
    assert unlocks == [COUNT * STAKE]
    for request_id in delivered.ids:
        assert world.settlement.request_of(request_id).operator == world.alice.address


def test_finalise_many__a_second_early__reverts(world: World) -> None:
    batch = ask(world)
    batch.deliver()
    world.chain.mine(CHALLENGE_WINDOW - 1)
    with reverts("settlement: challenge window is open"):
        batch.finalise()


def test_finalise_many__one_is_disputed__the_others_are_final(world: World) -> None:
    batch = ask(world)
    batch.deliver()
    other = (batch.outputs[0] + 1,)
    signature = world.sign(world.bob, batch.ids[0], other, input_hash=batch.input_hashes[0])
    delivery = world.settlement.delivery_struct(batch.ids[0])
    world.settlement.challenge(batch.ids[0], other, world.bob.address, signature)
    world.chain.mine(CHALLENGE_WINDOW)
    batch.finalise(delivery=delivery.words())
    assert batch.statuses() == [DISPUTED, FINAL, FINAL]
    assert world.bond_of(world.alice).locked == STAKE


def test_finalise_many__one_was_finalised__is_paid_once(world: World, delivered: Batch) -> None:
    world.settlement.finalise(delivered.ids[1], delivered.outputs[1:2])
    delivered.finalise()
    assert world.credit(world.alice) == COUNT * FEE
    assert world.bond_of(world.alice).locked == 0


def test_finalise_many__again__reverts(delivered: Batch) -> None:
    delivered.finalise()
    with reverts("settlement: nothing to finalise"):
        delivered.finalise()


def test_finalise_many__other_outputs__reverts(delivered: Batch) -> None:
    with reverts("settlement: nothing to finalise"):
        delivered.finalise(outputs=[output + 1 for output in delivered.outputs])


def test_finalise_many__another_operator__reverts(world: World, delivered: Batch) -> None:
    """Nobody is paid for what another one delivered."""
    delivery = world.settlement.delivery_struct(delivered.ids[0])
    with reverts("settlement: nothing to finalise"):
        delivered.finalise(delivery=replace(delivery, operator=world.bob.address).words())


def test_finalise_many__more_raised_than_was__reverts(world: World, delivered: Batch) -> None:
    delivery = world.settlement.delivery_struct(delivered.ids[0])
    with reverts("settlement: nothing to finalise"):
        delivered.finalise(delivery=replace(delivery, raised_fee=1).words())


def test_finalise_many__promised_proof__reverts(world: World) -> None:
    batch = ask(world, min_assurance=PROVEN)
    batch.deliver()
    world.chain.mine(CHALLENGE_WINDOW)
    with reverts("settlement: a proof was promised"):
        batch.finalise()


def test_finalise_many__wrong_number_of_outputs__reverts(delivered: Batch) -> None:
    with reverts("settlement: wrong output size"):
        delivered.finalise(outputs=[0])


def test_finalise_many__open__reverts(world: World) -> None:
    batch = ask(world)
    with reverts("settlement: nothing to finalise"):
        batch.finalise(delivery=Delivery(world.alice.address).words())


# ---------------------------------------------------------------------- callbacks


def recorded(consumer: Contract) -> list[SimpleNamespace]:
    names = ("kind", "request_id", "outputs", "number", "gas_left")
    return [SimpleNamespace(**dict(zip(names, call, strict=True))) for call in consumer.recorded()]


def consumer_batch(world: World, consumer: Contract, **policy: Any) -> Batch:
    call = (world.model_id, NUMBERS, COUNT, world.policy(**policy), 0)
    payload = world.settlement.calldata("request_many", *call)
    consumer.execute(world.settlement.address, payload)
    made = [event.args.request_id for event in world.chain.logs if event.name == "Requested"]
    return Batch(world, made[-COUNT:])


def test_deliver_many__provisional__tells_each_output(world: World) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    batch = consumer_batch(world, consumer, provisional=True)
    batch.deliver()
    assert [(call.kind, call.request_id, list(call.outputs)) for call in recorded(consumer)] == [
        (1, request_id, list(dequantise((output,), SCALE)))
        for request_id, output in zip(batch.ids, batch.outputs, strict=True)
    ]


def test_finalise_many__tells_each_output(world: World) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    batch = consumer_batch(world, consumer)
    batch.deliver()
    assert recorded(consumer) == []
    world.chain.mine(CHALLENGE_WINDOW)
    batch.finalise()
    assert [(call.kind, call.request_id, list(call.outputs), call.number) for call in recorded(consumer)] == [
        (2, request_id, list(dequantise((output,), SCALE)), SIGNED)
        for request_id, output in zip(batch.ids, batch.outputs, strict=True)
    ]


def test_batch__consumer_fails__each_callback_can_be_replayed(world: World) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    batch = consumer_batch(world, consumer, provisional=True)
    consumer.set_mode(1)
    batch.deliver()
    assert [world.settlement.state_of(each).failed_callback for each in batch.ids] == [1] * COUNT
    consumer.set_mode(0)
    world.settlement.replay_callback(batch.ids[1], batch.outputs[1:2])
    assert [call.request_id for call in recorded(consumer)] == [batch.ids[1]]


def test_batch__reentered__is_locked(world: World) -> None:
    """While one item's consumer is told, no other item moves."""
    consumer = world.deploy("mocks/MockConsumer.vy")
    batch = consumer_batch(world, consumer, provisional=True)
    other_id = world.request()
    signature = world.sign(world.bob, other_id, world.right)
    payload = world.settlement.calldata("deliver", other_id, world.right, world.bob.address, signature)
    consumer.set_reentry(world.settlement.address, payload)
    batch.deliver()
    assert not consumer.reentry_succeeded()
    assert world.status(other_id) == OPEN


def test_batch_of__counts_nonces_up(world: World) -> None:
    batch = ask(world)
    assert batch_of(batch.requests[0], batch.input_hashes) == batch.requests
