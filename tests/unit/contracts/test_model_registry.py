from typing import Any

import pytest
from eth_utils import keccak

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import MANIFEST_WORDS, MAX_WINDOW, Manifest
from foretell_spec.tensor import WAD, quantise, tensor_hash
from foretell_spec.terms import Terms
from tests.kit.chain import reverts
from tests.kit.manifest import SCALE
from tests.kit.vectors import cases, raw
from tests.kit.world import INPUTS, World

LIMIT = 2**127


def words_with(manifest: Manifest, **overrides: Any) -> tuple[Any, ...]:
    """The struct with fields that Manifest itself would refuse."""
    values = dict(zip(Manifest.__dataclass_fields__, manifest.words(), strict=True))
    return tuple({**values, **overrides}.values())


def register(
    world: World, *, verifier: str | None = None, sender: str | None = None, **overrides: Any
) -> bytes:
    words = words_with(world.make_manifest(metadata_hash=keccak(text="another")), **overrides)
    registered: bytes = world.models.register(
        words, verifier or world.ezkl.address, sender=sender or world.publisher
    ).value
    return registered


def test_register__valid__stores_every_field(world: World) -> None:
    manifest = world.make_manifest(
        metadata_hash=keccak(text="all fields"),
        input_size=256,
        output_size=64,
        input_scale=18,
        output_scale=17,
        input_min=-LIMIT + 1,
        input_max=LIMIT - 1,
        tolerance=2**256 - 1,
        enclave_measurement=keccak(text="enclave"),
        challenge_window=MAX_WINDOW,
        proof_window=1,
    )
    result = world.models.register(manifest.words(), world.ezkl.address, sender=world.publisher)

    assert result.value == manifest.model_id
    entry = world.models.entry(manifest.model_id)
    assert tuple(vars(entry.manifest).values()) == manifest.words()
    assert (entry.verifier, entry.registered_at, entry.stopped) == (
        world.ezkl.address,
        world.chain.time,
        False,
    )
    event = result.event("ModelRegistered")
    assert (event.model_id, event.publisher, event.verifier) == (
        manifest.model_id, world.publisher, world.ezkl.address,
    )  # fmt: skip
    assert tuple(vars(event.manifest).values()) == manifest.words()


def test_register__valid__opens_the_model(world: World) -> None:
    terms = world.models.terms(world.model_id)
    manifest = world.manifest
    assert terms.is_open
    assert world.models.is_open(world.model_id)
    expected = [
        manifest.determinism, manifest.input_size, manifest.output_size, manifest.input_scale,
        manifest.output_scale,
        manifest.input_min, manifest.input_max, manifest.challenge_window, manifest.proof_window, True,
    ]  # fmt: skip
    assert list(vars(terms).values()) == expected


def test_circuit__registered__names_the_pinned_verifier(world: World) -> None:
    circuit = world.models.circuit(world.model_id)
    assert list(vars(circuit).values()) == [world.ezkl.address, world.manifest.verifier_code_hash, 2, 1]


def test_views__unknown_model__are_zero(world: World) -> None:
    unknown = keccak(text="unknown")
    assert not world.models.is_open(unknown)
    assert world.models.entry(unknown).registered_at == 0
    assert not world.models.entry(unknown).stopped
    assert set(vars(world.models.terms(unknown)).values()) == {0}
    assert world.models.circuit(unknown).verifier == ZERO_ADDRESS


def test_model_id_of__any_manifest__equals_the_specification(world: World) -> None:
    assert world.models.model_id_of(world.manifest.words()) == world.manifest.model_id


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"determinism": 5}, "models: unknown class"),
        ({"input_size": 0}, "models: input size out of range"),
        ({"input_size": 257}, "models: input size out of range"),
        ({"output_size": 0}, "models: output size out of range"),
        ({"output_size": 65}, "models: output size out of range"),
        ({"input_scale": 19}, "models: input scale over 18 bits"),
        ({"output_scale": 19}, "models: output scale over 18 bits"),
        ({"input_min": -LIMIT}, "models: input bounds out of range"),
        ({"input_max": LIMIT}, "models: input bounds out of range"),
        ({"input_min": 1, "input_max": 0}, "models: input bounds out of order"),
        ({"challenge_window": 0}, "models: challenge window out of range"),
        ({"challenge_window": MAX_WINDOW + 1}, "models: challenge window out of range"),
        ({"proof_window": 0}, "models: proof window out of range"),
        ({"proof_window": MAX_WINDOW + 1}, "models: proof window out of range"),
        ({"vka_digest": b"\1" * 32}, "models: reusable verifier refused"),
        ({"verifier_code_hash": b"\1" * 32}, "models: verifier code differs"),
        ({"verifier_code_hash": b"\0" * 32}, "models: verifier code differs"),
    ],
)
def test_register__bad_field__reverts(world: World, overrides: dict[str, Any], reason: str) -> None:
    with reverts(reason):
        register(world, **overrides)


@pytest.mark.parametrize("bounds", [(0, 0), (-LIMIT + 1, -LIMIT + 1), (LIMIT - 1, LIMIT - 1)])
def test_register__single_point_of_bounds__is_admitted(world: World, bounds: tuple[int, int]) -> None:
    model_id = register(world, input_min=bounds[0], input_max=bounds[1])
    terms = world.models.terms(model_id)
    assert (terms.input_min, terms.input_max) == bounds


def test_register__no_publisher__anybody_may(world: World) -> None:
    model_id = register(world, publisher=ZERO_ADDRESS, sender=world.stranger)
    assert world.models.is_open(model_id)


def test_register__publisher_is_another__reverts(world: World) -> None:
    with reverts("models: not the publisher"):
        register(world, sender=world.stranger)


def test_register__twice__reverts(world: World) -> None:
    with reverts("models: already registered"):
        world.register_model(world.manifest)


def test_register__verifier_without_code__reverts(world: World) -> None:
    # The hash of no code, for an account that exists, so that the code hash would match.
    with reverts("models: verifier has no code"):
        register(world, verifier=world.stranger, verifier_code_hash=keccak(b""))


@pytest.mark.parametrize("determinism", [c for c in DeterminismClass if c is not DeterminismClass.CIRCUIT])
def test_register__other_class__takes_no_verifier(world: World, determinism: DeterminismClass) -> None:
    fields = {"determinism": int(determinism), "input_scale": 0, "output_scale": 0, "tolerance": WAD}
    with reverts("models: class takes no verifier"):
        register(world, **fields)
    with reverts("models: class takes no verifier code"):
        register(world, verifier=ZERO_ADDRESS, **fields)
    model_id = register(world, verifier=ZERO_ADDRESS, verifier_code_hash=b"\0" * 32, **fields)
    assert world.models.terms(model_id).determinism == determinism


def register_class(world: World, determinism: DeterminismClass, **fields: int) -> bytes:
    return register(
        world,
        determinism=int(determinism),
        verifier=ZERO_ADDRESS,
        verifier_code_hash=b"\0" * 32,
        **fields,
    )


@pytest.mark.parametrize("scale", [0, 9, 18])
def test_register__float__tolerates_at_least_one_step(world: World, scale: int) -> None:
    step = WAD >> scale
    with reverts("models: tolerance under one step"):
        register_class(world, DeterminismClass.FLOAT, output_scale=scale, tolerance=step - 1)
    assert register_class(world, DeterminismClass.FLOAT, output_scale=scale, tolerance=step)


@pytest.mark.parametrize("scales", [(1, 0), (0, 1)])
def test_register__seeded_with_a_scale__reverts(world: World, scales: tuple[int, int]) -> None:
    with reverts("models: tokens are whole numbers"):
        register_class(
            world, DeterminismClass.SEEDED, input_scale=scales[0], output_scale=scales[1], tolerance=0
        )


def test_stop__by_publisher__refuses_new_requests_for_good(world: World) -> None:
    result = world.models.stop(world.model_id, sender=world.publisher)
    assert not world.models.is_open(world.model_id)
    assert world.models.entry(world.model_id).stopped
    assert vars(result.event("ModelStopped")) == {"model_id": world.model_id, "publisher": world.publisher}
    with reverts("models: already registered"):
        world.register_model(world.manifest)


def test_stop__changes_nothing_else(world: World) -> None:
    before = world.models.entry(world.model_id)
    world.models.stop(world.model_id, sender=world.publisher)
    after = world.models.entry(world.model_id)
    assert (after.manifest, after.verifier, after.registered_at) == (
        before.manifest, before.verifier, before.registered_at,
    )  # fmt: skip


def test_stop__by_stranger__reverts(world: World) -> None:
    with reverts("models: not the publisher"):
        world.models.stop(world.model_id, sender=world.stranger)


def test_stop__without_publisher__nobody_can(world: World) -> None:
    model_id = register(world, publisher=ZERO_ADDRESS)
    with reverts("models: not the publisher"):
        world.models.stop(model_id, sender=world.publisher)


def test_stop__twice__reverts(world: World) -> None:
    world.models.stop(world.model_id, sender=world.publisher)
    with reverts("models: already stopped"):
        world.models.stop(world.model_id, sender=world.publisher)


@pytest.mark.parametrize("vector", cases("manifest", "model_id"))
def test_model_id_of__vector__gives_the_expected(world: World, vector: dict[str, Any]) -> None:
    words = [
        raw(word) if kind == "bytes32" else word if kind == "address" else int(word)
        for kind, word in zip(MANIFEST_WORDS, vector["words"], strict=True)
    ]
    assert world.models.model_id_of(tuple(words)) == raw(vector["model_id"])


@pytest.mark.parametrize(
    "overrides",
    [
        {"input_size": 1, "output_size": 1, "input_scale": 0, "output_scale": 0},
        {"input_size": 256, "output_size": 64, "input_scale": 18, "output_scale": 18},
        {"challenge_window": 1, "proof_window": 1},
        {"challenge_window": MAX_WINDOW, "proof_window": MAX_WINDOW},
    ],
)
def test_register__at_its_limits__is_admitted(world: World, overrides: dict[str, Any]) -> None:
    terms = vars(world.models.terms(register(world, **overrides)))
    assert {name: terms[name] for name in overrides} == overrides


# ---------------------------------------------------------------------- admit


def test_admit__inputs_in_bounds__gives_terms_and_hash(world: World) -> None:
    word, input_hash = world.models.admit(world.model_id, INPUTS)
    assert word == Terms.of(world.manifest).word
    assert input_hash == tensor_hash(quantise(INPUTS, SCALE))


def test_admit_many__is_as_many_single_ones(world: World) -> None:
    inputs = tuple(WAD * i for i in range(6))
    word, hashes = world.models.admit_many(world.model_id, inputs, 3)
    single = [world.models.admit(world.model_id, inputs[i : i + 2]) for i in (0, 2, 4)]
    assert [(word, each) for each in hashes] == single


@pytest.mark.parametrize("count", [0, 1])
def test_admit__stopped_model__reverts(world: World, count: int) -> None:
    world.models.stop(world.model_id, sender=world.publisher)
    with reverts("models: not open"):
        if count:
            world.models.admit(world.model_id, INPUTS)
        else:
            world.models.admit_many(world.model_id, INPUTS, 1)


@pytest.mark.parametrize("inputs", [(), (0,), (0, 0, 0)])
def test_admit__wrong_size__reverts(world: World, inputs: tuple[int, ...]) -> None:
    with reverts("models: wrong input size"):
        world.models.admit(world.model_id, inputs)
    with reverts("models: wrong input size"):
        world.models.admit_many(world.model_id, inputs, 1)


# The bounds are +-1000; half a quantum is 2**-8.
@pytest.mark.parametrize("bad", [(1000 * WAD + WAD // 256, 0), (0, -1000 * WAD - WAD // 256 - 1)])
def test_admit__out_of_bounds__reverts(world: World, bad: tuple[int, int]) -> None:
    with reverts("models: input out of bounds"):
        world.models.admit(world.model_id, bad)
    with reverts("models: input out of bounds"):
        world.models.admit_many(world.model_id, (0, 0, *bad), 2)


@pytest.mark.parametrize("number", [2**109 * WAD, -(2**109) * WAD, 2**255 - 1, -(2**255)])
def test_admit__number_out_of_range__reverts(world: World, number: int) -> None:
    with reverts("tensor: number out of range"):
        world.models.admit(world.model_id, (number, 0))
