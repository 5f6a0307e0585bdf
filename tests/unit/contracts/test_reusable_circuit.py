"""A circuit of EZKL's reusable verifier: only the pinned code counts, and only under the pinned key."""

from typing import Any

import pytest
from eth_utils import keccak

from foretell_relayer.prove import reusable
from foretell_spec.tensor import to_felt
from tests.kit.chain import reverts
from tests.kit.compiled import compiled
from tests.kit.world import PROOF, World, runtime_hash

SOURCE = "verifiers/ReusableCircuit.vy"
REUSABLE = "mocks/ReusableSumVerifier.vy"
KEY = (b"\1" * 32, b"\2" * 32)
OTHER_KEY = (b"\1" * 32, b"\3" * 32)
DIGEST = keccak(b"".join(KEY))

ONE_AND_DIGEST = "60015f52" + "7f" + DIGEST.hex() + "602052"
SHORT_ANSWER = ONE_AND_DIGEST + "603f5ff3"
TWO = "60025f52" + "7f" + DIGEST.hex() + "602052" + "60405ff3"
ZERO = "7f" + DIGEST.hex() + "602052" + "60405ff3"
ONE = ONE_AND_DIGEST + "60405ff3"


def store(world: World, key: tuple[bytes, ...]) -> str:
    """A contract that answers with a key."""
    return str(world.chain.evm.deploy(world.deployer, reusable.store_creation(key)))


def code_of(world: World, address: str) -> bytes:
    """Deployed code, without the zero bytes that revm adds for itself."""
    return (world.chain.evm.get_code(address) or b"").rstrip(b"\0")


def circuit(world: World, verifier: str, code_hash: bytes, key: tuple[bytes, ...] = KEY) -> Any:
    """A circuit with the pinned digest, whose store holds a key."""
    return world.deploy(SOURCE, code_hash, DIGEST, verifier, store(world, key))


@pytest.fixture
def verifier(world: World) -> Any:
    """The reusable verifier, at which both keys are registered: anybody may."""
    contract = world.deploy(REUSABLE)
    for key in (KEY, OTHER_KEY):
        contract.registerVka(key, sender=world.stranger)
    return contract


@pytest.fixture
def shared(world: World, verifier: Any) -> Any:
    return circuit(world, verifier.address, runtime_hash(REUSABLE))


def instances(world: World, outputs: tuple[int, ...]) -> list[int]:
    return [to_felt(q) for q in (*world.inputs_q, *outputs)]


def test_code__immutables__are_the_whole_of_it(world: World, shared: Any) -> None:
    runtime = bytes.fromhex(compiled(SOURCE)["runtime"][2:])
    code = runtime + runtime_hash(REUSABLE) + DIGEST
    assert code_of(world, shared.address) == code


def test_verify__right_output__is_true(world: World, shared: Any) -> None:
    assert shared.verifyProof(PROOF, instances(world, world.right), static=True) is True


def test_verify__wrong_output__reverts(world: World, shared: Any) -> None:
    with reverts(""):
        shared.verifyProof(PROOF, instances(world, world.wrong))


def test_verify__as_a_models_verifier__settles(world: World, shared: Any) -> None:
    code_hash = keccak(code_of(world, shared.address))
    manifest = world.make_manifest(verifier_code_hash=code_hash, metadata_hash=keccak(text="shared"))
    model_id = world.register_model(manifest, shared.address)
    assert world.circuit_verifier.verify(model_id, world.inputs_q, world.right, PROOF)
    with reverts("verifier: proof rejected"):
        world.circuit_verifier.verify(model_id, world.inputs_q, world.wrong, PROOF)


def test_verify__another_registered_key__is_refused(world: World, verifier: Any) -> None:
    """C10: anybody can register a key of a circuit of their own at the reusable verifier."""
    foreign = circuit(world, verifier.address, runtime_hash(REUSABLE), OTHER_KEY)
    with reverts("circuit: another key"):
        foreign.verifyProof(PROOF, instances(world, world.right))


def test_verify__unregistered_key__reverts(world: World) -> None:
    verifier = world.deploy(REUSABLE)
    with reverts("VKA not registered"):
        circuit(world, verifier.address, runtime_hash(REUSABLE)).verifyProof(
            PROOF, instances(world, world.right)
        )


def test_verify__other_code_at_the_verifier__is_refused(world: World) -> None:
    """A verifier that says yes to everything, with the right digest, is not the pinned one."""
    address = world.chain.account("yes")
    world.chain.place(address, bytes.fromhex(ONE))
    with reverts("circuit: verifier code differs"):
        circuit(world, address, runtime_hash(REUSABLE)).verifyProof(PROOF, instances(world, world.right))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (SHORT_ANSWER, "circuit: malformed answer"),
        ("00", "circuit: malformed answer"),
        (TWO, "circuit: proof rejected"),
        (ZERO, "circuit: proof rejected"),
    ],
    ids=["63 bytes", "nothing", "two", "zero"],
)
def test_verify__strange_answer__is_refused(world: World, code: str, reason: str) -> None:
    address = world.chain.account(f"strange {code}")
    world.chain.place(address, bytes.fromhex(code))
    with reverts(reason):
        circuit(world, address, keccak(hexstr=code)).verifyProof(PROOF, instances(world, world.right))


def test_verify__answer_of_one_under_the_digest__is_true(world: World) -> None:
    """Shows that the strange answers above fail for their answer alone."""
    address = world.chain.account("one")
    world.chain.place(address, bytes.fromhex(ONE))
    assert circuit(world, address, keccak(hexstr=ONE)).verifyProof(PROOF, instances(world, world.right))


@pytest.mark.parametrize("code", ["00", "5f5ff3", "60206000526001602052602060406000f3"])
def test_verify__store_without_a_key__reverts(world: World, verifier: Any, code: str) -> None:
    address = world.chain.account(f"store {code}")
    world.chain.place(address, bytes.fromhex(code))
    shared = world.deploy(SOURCE, runtime_hash(REUSABLE), DIGEST, verifier.address, address)
    with reverts(""):
        shared.verifyProof(PROOF, instances(world, world.right))


def test_store__largest_key__fits_on_a_chain(world: World) -> None:
    key = tuple(number.to_bytes(32, "big") for number in range(reusable.MAX_KEY_WORDS))
    assert 24_000 < len(code_of(world, store(world, key))) <= 24_576
