from dataclasses import replace
from typing import Any

import pytest
from eth_utils import to_checksum_address

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.settlement import Policy, Request
from foretell_spec.tensor import WAD, quantise, tensor_hash
from foretell_spec.terms import Terms
from tests.kit.chain import CHAIN_ID, reverts
from tests.kit.manifest import SCALE, without_circuit
from tests.kit.world import FEE, INPUTS, NONE, OPEN, PROVEN, World


def expected_request(world: World, policy: Policy, **overrides: Any) -> Request:
    """The first request of the requester."""
    expected = Request(
        requester=to_checksum_address(world.requester),
        nonce=0,
        model_id=world.model_id,
        input_hash=tensor_hash(world.inputs_q),
        terms=Terms.of(world.manifest).word,
        policy=policy,
        fee=FEE,
        created_at=world.chain.time,
    )
    return replace(expected, **overrides)


def test_request__valid__opens_and_holds_the_fee(world: World) -> None:
    policy = world.policy(min_assurance=PROVEN, provisional=True, callback_gas=1_000_000, deadline=2**64 - 1)
    result = world.settlement.request(world.model_id, INPUTS, policy, sender=world.requester, value=FEE)

    input_hash = tensor_hash(world.inputs_q)
    request_id = expected_request(world, Policy(**policy)).id(CHAIN_ID, world.settlement.address)
    assert result.value == request_id
    stored = world.settlement.request_of(request_id)
    assert vars(stored.policy) == policy
    assert (stored.requester, stored.model_id, stored.input_hash) == (
        world.requester,
        world.model_id,
        input_hash,
    )
    assert (stored.fee, stored.created_at, stored.from_receipt) == (FEE, world.chain.time, False)
    assert (stored.status, stored.assurance, stored.operator) == (OPEN, NONE, ZERO_ADDRESS)
    assert world.chain.balance(world.settlement.address) == FEE
    event = result.event("Requested")
    assert (event.request_id, event.model_id, event.requester) == (
        request_id,
        world.model_id,
        world.requester,
    )
    assert (tuple(event.inputs), vars(event.policy), event.fee) == (INPUTS, policy, FEE)
    assert (event.nonce, event.terms, event.created_at) == (
        0,
        Terms.of(world.manifest).word,
        world.chain.time,
    )


def test_request__again__has_the_next_nonce(world: World) -> None:
    first, second = world.request(), world.request()
    assert first != second
    assert world.settlement.nonce_of(world.requester) == 2
    request = expected_request(world, Policy(**world.policy()), nonce=1)
    assert second == request.id(CHAIN_ID, world.settlement.address)


def test_request__of_another__has_its_own_nonce(world: World) -> None:
    world.request()
    assert world.settlement.nonce_of(world.stranger) == 0
    assert world.request(requester=world.stranger) != world.request()


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"min_assurance": 0}, "settlement: assurance out of range"),
        ({"min_assurance": 5}, "settlement: assurance out of range"),
        ({"callback_gas": 1_000_001}, "settlement: callback gas too high"),
        ({"value_at_risk": 2**96}, "settlement: value at risk too large"),
    ],
)
def test_request__bad_policy__reverts(world: World, overrides: dict[str, Any], reason: str) -> None:
    with reverts(reason):
        world.request(**overrides)


def test_deposit__credit_over_128_bits__reverts(world: World) -> None:
    with reverts("accounts: credit too large"):
        world.settlement.deposit(world.requester, value=2**128)


def test_request__largest_amounts__are_kept_apart(world: World) -> None:
    stored = world.settlement.request_of(world.request(fee=2**128 - 1, value_at_risk=2**96 - 1))
    assert (stored.fee, stored.policy.value_at_risk) == (2**128 - 1, 2**96 - 1)
    assert (world.credit(world.requester), world.settlement.nonce_of(world.requester)) == (0, 1)


def test_request__deadline_now__reverts(world: World) -> None:
    with reverts("settlement: deadline has passed"):
        world.request(deadline=world.chain.time)


def test_request__deadline_next_second__opens(world: World) -> None:
    assert world.status(world.request(deadline=world.chain.time + 1)) == OPEN


def test_request__stopped_model__reverts(world: World) -> None:
    world.models.stop(world.model_id, sender=world.publisher)
    with reverts("models: not open"):
        world.request()


def test_request__unknown_model__reverts(world: World) -> None:
    with reverts("models: not open"):
        world.settlement.request(b"\1" * 32, INPUTS, world.policy(), sender=world.requester)


@pytest.mark.parametrize("determinism", [c for c in DeterminismClass if c is not DeterminismClass.CIRCUIT])
def test_request__class_that_no_proof_decides__reverts(world: World, determinism: DeterminismClass) -> None:
    manifest = world.make_manifest(**without_circuit(determinism))
    model_id = world.register_model(manifest, ZERO_ADDRESS)
    with reverts("settlement: a proof does not decide"):
        world.settlement.request(model_id, INPUTS, world.policy(), sender=world.requester)


@pytest.mark.parametrize("inputs", [(), INPUTS[:1], (*INPUTS, 0)])
def test_request__wrong_size__reverts(world: World, inputs: tuple[int, ...]) -> None:
    with reverts("models: wrong input size"):
        world.settlement.request(world.model_id, inputs, world.policy(), sender=world.requester)


# The bounds are +-1000; half a quantum is 2**-8.
@pytest.mark.parametrize("excess", [WAD // 256, WAD])
def test_request__input_over_its_bounds__reverts(world: World, excess: int) -> None:
    for inputs in [(1000 * WAD + excess, 0), (0, -1000 * WAD - excess - 1)]:
        with reverts("models: input out of bounds"):
            world.settlement.request(world.model_id, inputs, world.policy(), sender=world.requester)


def test_request__input_that_rounds_to_the_bound__opens(world: World) -> None:
    inputs = (1000 * WAD + WAD // 256 - 1, -1000 * WAD - WAD // 256)
    result = world.settlement.request(world.model_id, inputs, world.policy(), sender=world.requester)
    assert result.event("Requested").inputs == list(inputs)
    stored = world.settlement.request_of(result.value)
    assert stored.input_hash == tensor_hash((128_000, -128_000)) == tensor_hash(quantise(inputs, SCALE))


def test_request__from_within_a_callback__is_refused(world: World) -> None:
    consumer = world.deploy("mocks/MockConsumer.vy")
    policy = world.policy(provisional=True)
    payload = world.settlement.calldata("request", world.model_id, INPUTS, policy, 0)
    request_id = consumer.execute(world.settlement.address, payload).value
    consumer.set_reentry(world.settlement.address, payload)
    world.deliver(request_id)
    assert not consumer.reentry_succeeded()
    assert world.settlement.nonce_of(consumer.address) == 1
