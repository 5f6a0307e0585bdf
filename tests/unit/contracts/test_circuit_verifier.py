"""The only caller of EZKL verifiers: attack classes C7 to C12 of the security notes, each as a test."""

import pytest
from eth_utils import keccak

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.tensor import FIELD_MODULUS, QUANTISED_LIMIT
from tests.kit.chain import RevertedError, reverts
from tests.kit.manifest import without_circuit
from tests.kit.world import PROOF, World

RETURN_NOTHING = "00"
RETURN_ONE_BYTE = "600160005360016000f3"
RETURN_31_BYTES = "60016000526 01f6000f3".replace(" ", "")
RETURN_TWO = "600260005260206000f3"
RETURN_TWO_WORDS = "600160005260406000f3"
RETURN_THREE_WORDS = "600160005260606000f3"
RETURN_ONE = "600160005260206000f3"
RETURN_ZERO = "60206000f3"
REVERT = "60006000fd"
REVERT_WITH_ONE = "600160005260206000fd"
BURN = "5b600056"


def model_with(world: World, code: str, name: str) -> bytes:
    """A model whose pinned verifier is this code."""
    address = world.chain.account(f"verifier {name}")
    world.chain.place(address, bytes.fromhex(code))
    manifest = world.make_manifest(verifier_code_hash=keccak(hexstr=code), metadata_hash=keccak(text=name))
    return world.register_model(manifest, address)


def test_constructor__zero_registry__reverts(world: World) -> None:
    with reverts("verifier: registry is zero"):
        world.deploy("verifiers/CircuitVerifier.vy", ZERO_ADDRESS)


def test_constructor__registry__is_public(world: World) -> None:
    assert world.circuit_verifier.model_registry() == world.models.address


def test_verify__right_output__is_true(world: World) -> None:
    assert world.circuit_verifier.verify(world.model_id, world.inputs_q, world.right, PROOF) is True


def test_verify__negative_numbers__are_canonical_field_elements(world: World) -> None:
    inputs = (-QUANTISED_LIMIT + 1, 5)
    assert world.circuit_verifier.verify(world.model_id, inputs, (sum(inputs),), PROOF)


def test_verify__static_call__is_enough(world: World) -> None:
    assert world.circuit_verifier.verify(world.model_id, world.inputs_q, world.right, PROOF, static=True)


def test_verify__wrong_output__reverts(world: World) -> None:
    with reverts("verifier: proof rejected"):
        world.circuit_verifier.verify(world.model_id, world.inputs_q, world.wrong, PROOF)


def test_verify__wrong_proof__reverts(world: World) -> None:
    with reverts("verifier: proof rejected"):
        world.circuit_verifier.verify(world.model_id, world.inputs_q, world.right, PROOF + b"\0")


@pytest.mark.parametrize("k", [-1, 1, 2])
def test_verify__number_plus_the_modulus__is_refused(world: World, k: int) -> None:
    """C7: no second set of integers stands for the same instances."""
    aliased = (world.right[0] + k * FIELD_MODULUS,)
    with reverts("tensor: number out of range"):
        world.circuit_verifier.verify(world.model_id, world.inputs_q, aliased, PROOF)
    inputs = (world.inputs_q[0] + k * FIELD_MODULUS, world.inputs_q[1])
    with reverts("tensor: number out of range"):
        world.circuit_verifier.verify(world.model_id, inputs, world.right, PROOF)


def test_verify__instances_shifted_between_input_and_output__reverts(world: World) -> None:
    """C8: the sizes are the model's, so inputs cannot pass for outputs."""
    a, b = world.inputs_q
    with reverts("verifier: wrong input size"):
        world.circuit_verifier.verify(world.model_id, (a, b, 0), world.right, PROOF)
    with reverts("verifier: wrong input size"):
        world.circuit_verifier.verify(world.model_id, (a,), (b, a + b), PROOF)
    with reverts("verifier: wrong output size"):
        world.circuit_verifier.verify(world.model_id, (a, b), (), PROOF)
    with reverts("verifier: wrong output size"):
        world.circuit_verifier.verify(world.model_id, (a, b), (*world.right, 0), PROOF)


def test_verify__unknown_model__reverts(world: World) -> None:
    with reverts("verifier: model has no circuit"):
        world.circuit_verifier.verify(keccak(text="unknown"), world.inputs_q, world.right, PROOF)


def test_verify__model_without_a_circuit__reverts(world: World) -> None:
    manifest = world.make_manifest(**without_circuit(DeterminismClass.INTEGER))
    model_id = world.register_model(manifest, ZERO_ADDRESS)
    with reverts("verifier: model has no circuit"):
        world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF)


def test_verify__code_changed_after_registration__reverts(world: World) -> None:
    """C4, C9: the code is compared on every call. Here an always-true contract takes the verifier's place."""
    model_id = model_with(world, RETURN_TWO, "changed later")
    world.chain.place(world.models.circuit(model_id).verifier, bytes.fromhex(RETURN_ONE))
    with reverts("verifier: code differs"):
        world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (RETURN_NOTHING, "verifier: malformed answer"),
        (RETURN_ONE_BYTE, "verifier: malformed answer"),
        (RETURN_31_BYTES, "verifier: malformed answer"),
        (RETURN_TWO_WORDS, "verifier: malformed answer"),
        (RETURN_THREE_WORDS, "verifier: malformed answer"),
        (RETURN_TWO, "verifier: proof rejected"),
        (RETURN_ZERO, "verifier: proof rejected"),
        (REVERT, "verifier: proof rejected"),
        (REVERT_WITH_ONE, "verifier: proof rejected"),
    ],
    ids=["nothing", "1 byte", "31 bytes", "2 words", "3 words", "two", "zero", "revert", "revert with one"],
)
def test_verify__strange_answer__reverts(world: World, code: str, reason: str) -> None:
    """C11: only one word that is 1 counts."""
    model_id = model_with(world, code, code)
    with reverts(reason):
        world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF)


def test_verify__answer_of_one__is_true(world: World) -> None:
    """Shows that the strange answers above fail for their answer alone."""
    model_id = model_with(world, RETURN_ONE, "one")
    assert world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF)


def test_verify__verifier_burns_all_gas__is_no_rejection(world: World) -> None:
    model_id = model_with(world, BURN, "burn")
    with reverts("verifier: out of gas"):
        world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF, gas=1_000_000)


def test_verify__any_gas__valid_proof_is_never_rejected(world: World) -> None:
    """C11: a caller who gives too little gas cannot make a valid proof look wrong."""
    outcomes = set()
    for gas in range(28_000, 80_000, 61):
        try:
            world.circuit_verifier.verify(world.model_id, world.inputs_q, world.right, PROOF, gas=gas)
        except RevertedError as error:
            outcomes.add("out of gas" if error.reason != "verifier: proof rejected" else error.reason)
        else:
            outcomes.add("verified")
    assert outcomes == {"out of gas", "verified"}


# Calldata of verify: model, offsets of inputs, outputs and proof, then the three tails.
def canonical(world: World) -> list[int]:
    data = world.circuit_verifier.calldata("verify", world.model_id, world.inputs_q, world.right, PROOF)
    return [int.from_bytes(data[i : i + 32]) for i in range(4, len(data), 32)]


@pytest.mark.parametrize(
    "change",
    [
        {1: 2**255},
        {2: 2**256 - 32},
        {3: 2**16},
        {4: 2**255},
        {4: 257},
        {1: 0},
        {2: 0x80},
    ],
    ids=[
        "far offset",
        "negative offset",
        "offset behind the end",
        "huge length",
        "length over the bound",
        "head as inputs",
        "inputs as outputs",
    ],
)
def test_verify__non_canonical_calldata__is_refused(world: World, change: dict[int, int]) -> None:
    """C10: no second reading of the calldata gets through to the verifier."""
    words = canonical(world)
    for index, word in change.items():
        words[index] = word
    selector = world.circuit_verifier.calldata("verify", world.model_id, (), (), b"")[:4]
    data = selector + b"".join(word.to_bytes(32) for word in words)
    with pytest.raises(RevertedError):
        world.chain.send(world.circuit_verifier.address, data)


def test_verify__same_words_unchanged__are_accepted(world: World) -> None:
    selector = world.circuit_verifier.calldata("verify", world.model_id, (), (), b"")[:4]
    data = selector + b"".join(word.to_bytes(32) for word in canonical(world))
    assert int.from_bytes(world.chain.send(world.circuit_verifier.address, data).value) == 1
