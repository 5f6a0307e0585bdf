"""Models without a circuit, made of the shipped network: one within a tolerance, one without a right one."""

from pathlib import Path

import ape
import pytest

from foretell_relayer.models.add_graph import GraphOptions, add_graph
from foretell_spec.divergence import DeterminismClass
from foretell_spec.reasons import EXPLANATIONS, Reason
from foretell_spec.tensor import dequantise

SIGNED, AGREED, PROVEN = 1, 2, 4
SHIPPED = Path(__file__).resolve().parents[2] / "models" / "volatility"


@pytest.fixture(scope="module")
def ask(project, owner, inference):
    return owner.deploy(project.Ask, inference.settlement)


@pytest.fixture(scope="module")
def make(inference, tmp_path_factory):
    def register(determinism):
        folder = tmp_path_factory.mktemp("model") / determinism.name.lower()
        options = GraphOptions(name=folder.name, determinism=determinism)
        add_graph(SHIPPED / "model.onnx", SHIPPED / "samples.npz", folder, options, lambda _: None)
        return inference.model(folder)

    return register


@pytest.fixture(scope="module")
def tolerant(make):
    return make(DeterminismClass.FLOAT)


@pytest.fixture(scope="module")
def open_model(make):
    return make(DeterminismClass.OPEN)


def outputs_of(model, inference, inputs):
    """What the model gives, WAD."""
    quantised = inference.devnet.infer(model, model.manifest.quantise(tuple(inputs)))
    return list(dequantise(quantised, model.manifest.output_scale))


@pytest.mark.parametrize("assurance", [SIGNED, AGREED])
def test_ask__float_model__answers(ask, tolerant, inference, owner, assurance):
    inputs = tolerant.samples()[0]

    receipt = ask.ask(tolerant.model_id, inputs, assurance, sender=owner)

    assert receipt.return_value == outputs_of(tolerant, inference, inputs)


def test_ask__float_model_proven__is_refused(ask, tolerant, owner):
    with ape.reverts(f"inference: {EXPLANATIONS[Reason.ASSURANCE_UNAVAILABLE]}"):
        ask.ask(tolerant.model_id, tolerant.samples()[0], PROVEN, sender=owner)


def test_ask__open_model__only_who_opts_in_gets_an_answer(ask, open_model, inference, owner):
    inputs = open_model.samples()[0]
    with ape.reverts(f"inference: {EXPLANATIONS[Reason.OPEN_MODEL]}"):
        ask.ask(open_model.model_id, inputs, SIGNED, sender=owner)

    receipt = ask.ask_open(open_model.model_id, inputs, SIGNED, sender=owner)

    assert receipt.return_value == outputs_of(open_model, inference, inputs)
