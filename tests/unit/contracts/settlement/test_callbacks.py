from types import SimpleNamespace

import pytest
from eth_utils import keccak

from foretell_spec.tensor import dequantise
from tests.kit.chain import Contract, Event, RevertedError, reverts
from tests.kit.manifest import CHALLENGE_WINDOW, PROOF_WINDOW, SCALE
from tests.kit.world import (
    CALLBACK_GAS,
    DELIVERED,
    DISPUTE_BOND,
    FINAL,
    INPUTS,
    PROOF,
    PROVEN,
    SIGNED,
    VALUE_AT_RISK,
    World,
)

INFERENCE, INFERENCE_FINAL, INFERENCE_REVERSED = 1, 2, 3


@pytest.fixture
def consumer(world: World) -> Contract:
    return world.deploy("mocks/MockConsumer.vy")


def ask(world: World, consumer: Contract, **overrides: object) -> bytes:
    payload = world.settlement.calldata("request", world.model_id, INPUTS, world.policy(**overrides), 0)
    asked = consumer.execute(world.settlement.address, payload)
    request_id: bytes = asked.value
    return request_id


def wad(outputs: tuple[int, ...]) -> list[int]:
    return list(dequantise(outputs, SCALE))


def calls(consumer: Contract) -> list[SimpleNamespace]:
    names = ("kind", "request_id", "outputs", "number", "gas_left")
    return [SimpleNamespace(**dict(zip(names, call, strict=True))) for call in consumer.recorded()]


def outcome(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.name, event.args.kind) for event in events if event.name.startswith("Callback")]


# ---------------------------------------------------------------------- which callback, when, with what


def test_deliver__provisional__tells_the_signed_output(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    result = world.deliver(request_id)
    (call,) = calls(consumer)
    assert (call.kind, call.request_id, list(call.outputs), call.number) == (
        INFERENCE, request_id, wad(world.right), SIGNED,
    )  # fmt: skip
    assert outcome(result.events) == []


def test_deliver__not_provisional__tells_nothing(world: World, consumer: Contract) -> None:
    result = world.deliver(ask(world, consumer))
    assert calls(consumer) == []
    assert outcome(result.events) == []


def test_finalise__tells_the_final_output(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    world.chain.mine(CHALLENGE_WINDOW)
    world.settlement.finalise(request_id, world.right)
    (call,) = calls(consumer)
    assert (call.kind, call.request_id, list(call.outputs), call.number) == (
        INFERENCE_FINAL, request_id, wad(world.right), SIGNED,
    )  # fmt: skip


def test_prove__tells_the_proven_output(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    world.prove(request_id)
    (call,) = calls(consumer)
    assert (call.kind, list(call.outputs), call.number) == (INFERENCE_FINAL, wad(world.right), PROVEN)


def test_deliver_proven__tells_the_proven_output(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    signature = world.sign(world.alice, request_id, world.right)
    world.settlement.deliver_proven(
        request_id, world.inputs_q, world.right, world.alice.address, signature, PROOF
    )
    (call,) = calls(consumer)
    assert (call.kind, list(call.outputs), call.number) == (INFERENCE_FINAL, wad(world.right), PROVEN)


def test_prove__challenger_right__tells_the_right_output_and_the_compensation(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    world.prove(request_id)
    assert [call.kind for call in calls(consumer)] == [INFERENCE, INFERENCE_REVERSED]
    assert (list(calls(consumer)[1].outputs), calls(consumer)[1].number) == (wad(world.right), VALUE_AT_RISK)


def test_prove__neither_right__tells_what_is_credited(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id, world.also_wrong)
    world.prove(request_id)
    assert calls(consumer)[1].number == VALUE_AT_RISK + 2 * DISPUTE_BOND


def test_prove__challenger_right__consumer_that_saw_nothing_gets_a_final_output(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    world.prove(request_id)
    (call,) = calls(consumer)
    assert (call.kind, list(call.outputs), call.number) == (INFERENCE_FINAL, wad(world.right), PROVEN)


def test_prove__receipt_reversed__tells_the_right_output(world: World, consumer: Contract) -> None:
    receipt_id = world.infer(world.wrong)
    payload = world.settlement.calldata(
        "settle_receipt", receipt_id, world.model_id, INPUTS, VALUE_AT_RISK, 0
    )
    request_id = consumer.execute(world.settlement.address, payload).value
    assert calls(consumer) == []
    world.challenge(request_id)
    world.prove(request_id)
    (call,) = calls(consumer)
    assert (call.kind, call.request_id, list(call.outputs)) == (
        INFERENCE_REVERSED,
        request_id,
        wad(world.right),
    )


def test_settle_receipt__proven__tells_nothing(world: World, consumer: Contract) -> None:
    """The consumer is in the middle of its own call and has the output already."""
    receipt_id = world.infer(world.right, assurance=PROVEN)
    payload = world.settlement.calldata(
        "settle_receipt", receipt_id, world.model_id, INPUTS, VALUE_AT_RISK, 0
    )
    consumer.execute(world.settlement.address, payload)
    assert calls(consumer) == []


def test_expire__promised_proof_overdue__takes_the_provisional_output_back(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer, provisional=True, min_assurance=PROVEN)
    world.deliver(request_id)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    call = calls(consumer)[1]
    assert (call.kind, call.outputs, call.number) == (INFERENCE_REVERSED, (), VALUE_AT_RISK + DISPUTE_BOND)


def test_expire__undetermined__takes_the_provisional_output_back(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    call = calls(consumer)[1]
    assert (call.kind, call.outputs, call.number) == (INFERENCE_REVERSED, (), VALUE_AT_RISK)


def test_expire__undetermined__consumer_that_saw_nothing_is_told_nothing(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    assert calls(consumer) == []


def test_expire__undetermined_receipt__takes_it_back(world: World, consumer: Contract) -> None:
    receipt_id = world.infer(world.right)
    payload = world.settlement.calldata(
        "settle_receipt", receipt_id, world.model_id, INPUTS, VALUE_AT_RISK, 0
    )
    request_id = consumer.execute(world.settlement.address, payload).value
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    world.settlement.expire(request_id)
    assert [call.kind for call in calls(consumer)] == [INFERENCE_REVERSED]


# ---------------------------------------------------------------------- isolation


@pytest.mark.parametrize("mode", [1, 2], ids=["revert", "burn"])
def test_callback__consumer_fails__settlement_stands(world: World, consumer: Contract, mode: int) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    consumer.set_mode(mode)
    result = world.prove(request_id)
    assert world.status(request_id) == FINAL
    assert world.settlement.request_of(request_id).failed_callback == INFERENCE_FINAL
    assert vars(result.event("CallbackFailed")) == {"request_id": request_id, "kind": INFERENCE_FINAL}


def test_callback__consumer_burns_gas__costs_no_more_than_its_callback_gas(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    consumer.set_mode(1)
    with world.chain.isolate():
        cheap = world.prove(request_id).gas_used
    consumer.set_mode(2)
    dear = world.prove(request_id).gas_used
    assert CALLBACK_GAS * 0.9 < dear - cheap < CALLBACK_GAS


def test_callback__return_bomb__is_not_copied(world: World) -> None:
    """The consumer becomes a contract that returns 160 kB: copying them would cost as much again."""
    bomber = world.chain.account("bomber")
    request_id = world.request(requester=bomber, callback_gas=1_000_000)
    world.deliver(request_id)
    world.chain.place(bomber, bytes.fromhex("62027100" + "5f" + "f3"))
    result = world.prove(request_id)
    bomb_gas = 3 * 5_000 + 5_000**2 // 512
    assert outcome(result.events) == []
    with world.chain.isolate():
        plain = world.request(requester=world.stranger)
        world.deliver(plain)
        base = world.prove(plain).gas_used
    assert result.gas_used - base < bomb_gas + 40_000


def test_callback__any_gas__all_or_nothing(world: World, consumer: Contract) -> None:
    """Never delivered with less than the callback gas: all reverts, or the consumer had all of it (C2)."""
    request_id = ask(world, consumer, callback_gas=200_000)
    world.deliver(request_id)
    outcomes, received = set(), set()
    for gas in range(200_000, 420_000, 997):
        with world.chain.isolate():
            try:
                world.prove(request_id, gas=gas)
            except RevertedError:
                assert world.status(request_id) == DELIVERED
                outcomes.add("reverted")
            else:
                (call,) = calls(consumer)
                received.add(call.gas_left)
                outcomes.add("delivered")
    assert outcomes == {"reverted", "delivered"}
    assert len(received) == 1
    assert 190_000 < received.pop() < 200_000


def test_callback__just_too_little_gas__says_so(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, callback_gas=1_000_000)
    world.deliver(request_id)
    with reverts("callback: not enough gas"):
        world.prove(request_id, gas=1_000_000)


def test_callback__no_callback_gas__is_left_out(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, callback_gas=0, provisional=True)
    world.deliver(request_id)
    world.prove(request_id)
    assert calls(consumer) == []


def test_callback__requester_without_code__is_left_out(world: World) -> None:
    request_id = world.request(provisional=True)
    result = world.deliver(request_id)
    assert outcome(result.events) == []


def test_callback__views__answer_the_new_state(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    expected = {"status_of": FINAL, "assurance_of": PROVEN}
    for name in ("status_of", "assurance_of", "state_of"):
        with world.chain.isolate():
            consumer.set_reentry(world.settlement.address, world.settlement.calldata(name, request_id))
            world.prove(request_id)
            assert consumer.reentry_succeeded()
            if name in expected:
                assert int.from_bytes(consumer.reentry_answer()) == expected[name]
    for name in ("credit_of", "nonce_of"):
        with world.chain.isolate():
            consumer.set_reentry(world.settlement.address, world.settlement.calldata(name, consumer.address))
            world.prove(request_id)
            assert consumer.reentry_succeeded()


def reentries(world: World, request_id: bytes, other_id: bytes) -> dict[str, bytes]:
    """Every function that changes something, in a form that would succeed if nothing were locked."""
    settlement = world.settlement
    world.script(world.right)
    signature = world.sign(world.alice, other_id, world.right)
    return {
        "request": settlement.calldata("request", world.model_id, INPUTS, world.policy(), 0),
        "deliver": settlement.calldata("deliver", other_id, world.right, world.alice.address, signature),
        "deliver_proven": settlement.calldata(
            "deliver_proven", other_id, world.inputs_q, world.right, world.alice.address, signature, PROOF
        ),
        "withdraw": settlement.calldata("withdraw"),
        "replay_callback": settlement.calldata("replay_callback", request_id, world.right),
        "cancel": settlement.calldata("cancel", other_id),
        "expire": settlement.calldata("expire", other_id),
    }


@pytest.mark.parametrize(
    "name", ["request", "deliver", "deliver_proven", "withdraw", "replay_callback", "cancel", "expire"]
)
def test_callback__reentered__is_locked(world: World, consumer: Contract, name: str) -> None:
    """The same call succeeds from outside, so only the lock refuses it."""
    late = world.chain.time + 700
    request_id = ask(world, consumer, deadline=late + 1000, provisional=True)
    deadline = world.chain.time + 650 if name == "expire" else late + 1000
    other_id = ask(world, consumer, deadline=deadline)
    credit_id = ask(world, consumer, deadline=late)
    world.chain.travel_to(late)
    consumer.execute(world.settlement.address, world.settlement.calldata("cancel", credit_id))
    if name == "withdraw":
        paid = world.settlement.calldata(
            "request", world.model_id, INPUTS, world.policy(deadline=late + 601), 1
        )
        paid_id = consumer.execute(world.settlement.address, paid, value=1).value
        world.chain.travel_to(late + 600)
        consumer.execute(world.settlement.address, world.settlement.calldata("cancel", paid_id))
    if name == "replay_callback":
        consumer.set_mode(1)
    world.deliver(request_id)
    payload = reentries(world, request_id, other_id)[name]
    with world.chain.isolate():
        consumer.execute(world.settlement.address, payload)
    consumer.set_reentry(world.settlement.address, payload)
    world.prove(request_id)
    assert not consumer.reentry_succeeded()
    assert world.status(request_id) == FINAL


@pytest.mark.parametrize("name", ["prove", "challenge", "finalise", "expire", "settle_receipt"])
def test_callback__reentered_at_delivery__is_locked(world: World, consumer: Contract, name: str) -> None:
    request_id = ask(world, consumer, provisional=True)
    other_id = ask(world, consumer, min_assurance=PROVEN if name == "expire" else SIGNED)
    world.deliver(other_id)
    if name in ("finalise", "expire"):
        world.chain.mine(CHALLENGE_WINDOW)
        request_id = ask(world, consumer, provisional=True)
    receipt_id = world.infer(world.right)
    settlement = world.settlement
    payload = {
        "prove": lambda: settlement.calldata("prove", other_id, world.inputs_q, world.right, PROOF),
        "challenge": lambda: settlement.calldata(
            "challenge",
            other_id,
            world.wrong,
            world.bob.address,
            world.sign(world.bob, other_id, world.wrong),
        ),
        "finalise": lambda: settlement.calldata("finalise", other_id, world.right),
        "expire": lambda: settlement.calldata("expire", other_id),
        "settle_receipt": lambda: settlement.calldata(
            "settle_receipt", receipt_id, world.model_id, INPUTS, 1, 0
        ),
    }[name]()
    with world.chain.isolate():
        consumer.execute(settlement.address, payload)
    consumer.set_reentry(settlement.address, payload)
    world.deliver(request_id)
    assert not consumer.reentry_succeeded()


# ---------------------------------------------------------------------- replay


def failed(world: World, consumer: Contract, **overrides: object) -> bytes:
    """A final request whose callback failed."""
    request_id = ask(world, consumer, **overrides)
    world.deliver(request_id)
    consumer.set_mode(1)
    world.prove(request_id)
    consumer.set_mode(0)
    return request_id


def test_replay_callback__after_a_failure__succeeds_once(world: World, consumer: Contract) -> None:
    request_id = failed(world, consumer)
    result = world.settlement.replay_callback(request_id, world.right, sender=world.stranger)
    (call,) = calls(consumer)
    assert (call.kind, call.request_id, list(call.outputs), call.number) == (
        INFERENCE_FINAL, request_id, wad(world.right), PROVEN,
    )  # fmt: skip
    assert outcome(result.events) == [("CallbackSucceeded", INFERENCE_FINAL)]
    with reverts("settlement: no failed callback"):
        world.settlement.replay_callback(request_id, world.right)


def test_replay_callback__fails_again__can_be_repeated(world: World, consumer: Contract) -> None:
    request_id = failed(world, consumer)
    consumer.set_mode(1)
    result = world.settlement.replay_callback(request_id, world.right)
    assert outcome(result.events) == [("CallbackFailed", INFERENCE_FINAL)]
    consumer.set_mode(0)
    world.settlement.replay_callback(request_id, world.right)
    assert len(calls(consumer)) == 1


def test_replay_callback__too_little_callback_gas_asked__gets_more_now(
    world: World, consumer: Contract
) -> None:
    request_id = ask(world, consumer, callback_gas=10_000)
    world.deliver(request_id)
    result = world.prove(request_id)
    assert outcome(result.events) == [("CallbackFailed", INFERENCE_FINAL)]
    world.settlement.replay_callback(request_id, world.right)
    assert calls(consumer)[0].gas_left > 1_000_000


def test_replay_callback__with_less_gas__reverts(world: World, consumer: Contract) -> None:
    request_id = failed(world, consumer)
    with reverts("callback: not enough gas"):
        world.settlement.replay_callback(request_id, world.right, gas=CALLBACK_GAS)
    assert world.settlement.request_of(request_id).failed_callback == INFERENCE_FINAL


def test_replay_callback__other_outputs__reverts(world: World, consumer: Contract) -> None:
    request_id = failed(world, consumer)
    with reverts("settlement: another output stands"):
        world.settlement.replay_callback(request_id, world.wrong)


def test_replay_callback__after_success__reverts(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer)
    world.deliver(request_id)
    world.prove(request_id)
    with reverts("settlement: no failed callback"):
        world.settlement.replay_callback(request_id, world.right)


def test_replay_callback__provisional__works_while_delivered(world: World, consumer: Contract) -> None:
    consumer.set_mode(1)
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id)
    consumer.set_mode(0)
    world.settlement.replay_callback(request_id, world.right)
    assert [(call.kind, call.number) for call in calls(consumer)] == [(INFERENCE, SIGNED)]


def test_replay_callback__provisional_but_disputed__reverts(world: World, consumer: Contract) -> None:
    consumer.set_mode(1)
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    with reverts("settlement: no failed callback"):
        world.settlement.replay_callback(request_id, world.right)


def test_replay_callback__provisional_failed_and_final_succeeded__nothing_is_left(
    world: World, consumer: Contract
) -> None:
    consumer.set_mode(1)
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id)
    consumer.set_mode(0)
    world.prove(request_id)
    assert [call.kind for call in calls(consumer)] == [INFERENCE_FINAL]
    with reverts("settlement: no failed callback"):
        world.settlement.replay_callback(request_id, world.right)


def test_replay_callback__reversal__repeats_the_compensation(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id, world.wrong)
    world.challenge(request_id)
    consumer.set_mode(1)
    world.prove(request_id)
    consumer.set_mode(0)
    world.settlement.replay_callback(request_id, world.right)
    call = calls(consumer)[-1]
    assert (call.kind, list(call.outputs), call.number) == (
        INFERENCE_REVERSED,
        wad(world.right),
        VALUE_AT_RISK,
    )


def test_replay_callback__reversal_without_output__takes_none(world: World, consumer: Contract) -> None:
    request_id = ask(world, consumer, provisional=True)
    world.deliver(request_id)
    world.challenge(request_id, world.wrong)
    world.chain.mine(PROOF_WINDOW + 1)
    consumer.set_mode(1)
    world.settlement.expire(request_id)
    consumer.set_mode(0)
    with reverts("settlement: no output stands"):
        world.settlement.replay_callback(request_id, world.right)
    world.settlement.replay_callback(request_id, ())
    call = calls(consumer)[-1]
    assert (call.kind, call.outputs, call.number) == (INFERENCE_REVERSED, (), VALUE_AT_RISK)


def test_replay_callback__unknown_request__reverts(world: World) -> None:
    with reverts("settlement: no failed callback"):
        world.settlement.replay_callback(keccak(text="unknown"), ())
