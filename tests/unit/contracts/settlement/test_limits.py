"""The largest model and the longest proof go through every step, at a cost that a block bears."""

from copy import copy

import pytest
from eth_utils import keccak

from foretell_spec.bundle import MAX_PROOF_BYTES
from foretell_spec.tensor import MAX_INPUTS, MAX_OUTPUTS, WAD, quantise, tensor_hash
from tests.kit.chain import RevertedError
from tests.kit.manifest import CHALLENGE_WINDOW, SCALE
from tests.kit.world import FINAL, PROOF, World

INPUTS = tuple(WAD * (i - 100) for i in range(MAX_INPUTS))
BLOCK_PART = 3_000_000
"""A tenth of a block of 30 million."""


@pytest.fixture
def large(world: World) -> World:
    """A model of the largest size."""
    manifest = world.make_manifest(
        metadata_hash=keccak(text="large"), input_size=MAX_INPUTS, output_size=MAX_OUTPUTS
    )
    other = copy(world)
    other.model_id = world.register_model(manifest)
    return other


def test_largest_model__every_step__fits_a_block(large: World) -> None:
    inputs = quantise(INPUTS, SCALE)
    outputs = (*([0] * (MAX_OUTPUTS - 1)), sum(inputs))
    asked = large.settlement.request(large.model_id, INPUTS, large.policy(), sender=large.requester)
    signature = large.sign(large.alice, asked.value, outputs, input_hash=tensor_hash(inputs))
    delivered = large.settlement.deliver(asked.value, outputs, large.alice.address, signature)
    with large.chain.isolate():
        proven = large.settlement.prove(asked.value, inputs, outputs, PROOF)
    large.chain.mine(CHALLENGE_WINDOW)
    final = large.settlement.finalise(asked.value, outputs)
    assert large.status(asked.value) == FINAL
    for result in (asked, delivered, proven, final):
        assert result.gas_used < BLOCK_PART


def test_longest_proof__reaches_the_verifier(world: World) -> None:
    with pytest.raises(RevertedError, match="verifier: proof rejected"):
        world.circuit_verifier.verify(world.model_id, world.inputs_q, world.right, bytes(MAX_PROOF_BYTES))


def test_proof_over_the_limit__is_refused(world: World) -> None:
    data = world.circuit_verifier.calldata(
        "verify", world.model_id, world.inputs_q, world.right, bytes(16385)
    )
    with pytest.raises(RevertedError) as refused:
        world.chain.send(world.circuit_verifier.address, data)
    assert not refused.value.data


def test_more_numbers_than_the_limit__are_refused(world: World) -> None:
    data = world.settlement.calldata("request", world.model_id, (0,) * (MAX_INPUTS + 1), world.policy(), 0)
    with pytest.raises(RevertedError) as refused:
        world.chain.send(world.settlement.address, data)
    assert not refused.value.data
