"""Circuits: keys, witnesses, proofs, and what damaged files do."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from foretell_relayer.prove import circuit
from foretell_relayer.prove.circuit import CircuitFiles, RunArgs
from foretell_relayer.prove.errors import EzklRefused, InvalidProof, ProveError

INPUTS = (128, -64, 32)
"""1, -0.5 and 0.25 at 7 bits."""

OUTPUTS = (0, 0)


@pytest.fixture
def copy(tiny_circuit: CircuitFiles, tmp_path: Path) -> CircuitFiles:
    shutil.copytree(tiny_circuit.pk.parent, tmp_path / "copy")
    return CircuitFiles.in_folder(tmp_path / "copy", tmp_path / "copy")


@pytest.fixture(scope="module")
def proof(tiny_circuit: CircuitFiles) -> circuit.Proof:
    return circuit.prove(tiny_circuit, INPUTS)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_prove__good_input__proves_the_witness(tiny_circuit, proof):
    assert proof.inputs == INPUTS
    assert proof.outputs == circuit.witness(tiny_circuit.circuit, INPUTS)
    assert len(proof.data) % 32 == 0


def test_witness__exact_numbers__are_the_model_in_integers(tiny_circuit):
    # x @ weights + bias = (0.5 - 1 - 0.125 + 0.25, -1.25 - 0.375 + 0.375 - 0.5), both below zero
    assert circuit.witness(tiny_circuit.circuit, INPUTS) == OUTPUTS
    # 2 * 0.5 + 0.25 = 1.25 and -2.5 - 0.5 < 0
    assert circuit.witness(tiny_circuit.circuit, (256, 0, 0)) == (160, 0)


def test_witness__more_than_24_significant_bits__is_not_rounded(tiny_onnx, tmp_path):
    files = CircuitFiles.in_folder(tmp_path, tmp_path)
    circuit.gen_settings(tiny_onnx, files.settings, RunArgs(7, 7, 17, 1 << 14, 4))
    circuit.compile_circuit(tiny_onnx, files)
    exact = 2**25 + 3  # times 0.5 plus 0.25: half of it, rounded up, and 32

    assert circuit.witness(files.circuit, (2 * exact, 0, 0))[0] == exact + 32


def test_verify__own_proof__is_accepted(tiny_circuit, proof):
    circuit.verify(tiny_circuit, proof.inputs, proof.outputs, proof.data)


@pytest.mark.parametrize("change", ["inputs", "outputs", "data"])
def test_verify__anything_changed__is_invalid(tiny_circuit, proof, change):
    spoiled = {
        "inputs": {"inputs": (INPUTS[0] + 1, *INPUTS[1:])},
        "outputs": {"outputs": (proof.outputs[0] + 1, *proof.outputs[1:])},
        "data": {"data": bytes([proof.data[0] ^ 1]) + proof.data[1:]},
    }
    other = replace(proof, **spoiled[change])

    with pytest.raises(InvalidProof, match="R-PRV-006"):
        circuit.verify(tiny_circuit, other.inputs, other.outputs, other.data)


def test_prove__value_too_large_for_circuit__is_refused(tiny_circuit):
    with pytest.raises(EzklRefused, match="R-PRV-001"):
        circuit.prove(tiny_circuit, (2**60, 0, 0))


def test_prove__wrong_number_of_inputs__is_refused(tiny_circuit):
    with pytest.raises(ProveError):
        circuit.prove(tiny_circuit, (1, 2))


@pytest.mark.parametrize("name", ["circuit", "pk", "vk", "srs", "settings"])
def test_prove__truncated_file__is_typed_error(copy, name):
    truncate(getattr(copy, name))

    with pytest.raises(ProveError):
        circuit.prove(copy, INPUTS)


@pytest.mark.parametrize("name", ["circuit", "pk", "vk", "srs", "settings"])
def test_prove__missing_file__is_refused(copy, name):
    getattr(copy, name).unlink()

    with pytest.raises(ProveError):
        circuit.prove(copy, INPUTS)


def test_prove__damaged_proving_key__never_gives_a_proof(copy):
    # EZKL proves with it without a complaint: only the verification that follows finds it out.
    for place in range(
        copy.pk.stat().st_size // 2, copy.pk.stat().st_size - 64, copy.pk.stat().st_size // 16
    ):
        flip(copy.pk, place)

    with pytest.raises(ProveError):
        circuit.prove(copy, INPUTS)


def test_prove__srs_of_somebody_else__never_gives_a_proof(copy):
    circuit.gen_srs(copy.srs, 8)

    with pytest.raises(ProveError):
        circuit.prove(copy, INPUTS)


def test_gen_settings__twice__same_bytes(tiny_onnx, tmp_path):
    arguments = RunArgs(7, 7, 8, 128, 3)
    texts = set()
    for number in range(4):
        circuit.gen_settings(tiny_onnx, tmp_path / str(number), arguments)
        texts.add((tmp_path / str(number)).read_bytes())

    assert len(texts) == 1


def test_setup__again__same_keys(copy):
    before = copy.vk.read_bytes(), copy.pk.read_bytes()

    circuit.setup(copy)

    assert (copy.vk.read_bytes(), copy.pk.read_bytes()) == before


def test_gen_srs__again__is_another(tmp_path):
    circuit.gen_srs(tmp_path / "one", 4)
    circuit.gen_srs(tmp_path / "two", 4)

    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_verifier_source__again__same_text_of_one_contract(tiny_circuit):
    source = circuit.verifier_source(tiny_circuit)

    assert source == circuit.verifier_source(tiny_circuit)
    assert "contract Halo2Verifier {" in source
    assert "contract Halo2VerifierReusable" in circuit.reusable_verifier_source(tiny_circuit)


def test_vka__words__hold_rows_and_instances(tiny_circuit):
    words = circuit.vka(tiny_circuit)

    assert {len(word) for word in words} == {32}
    assert {8, len(INPUTS) + len(OUTPUTS)} <= {int.from_bytes(word, "big") for word in words}


@pytest.mark.parametrize("value", [0, 1, -1, 2**100, -(2**100)])
def test_felts__there_and_back__same_integer(value):
    assert circuit.decode(circuit.encode((value,))) == (value,)
