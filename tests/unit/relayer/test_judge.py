"""Who deviated, by the rule of each class, found by running the model again."""

from dataclasses import replace

import pytest
from eth_utils import keccak

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.judge import Judge
from foretell_relayer.models.errors import UnknownModel
from foretell_relayer.models.samples import quantise_rows
from foretell_relayer.models.store import ModelStore
from foretell_spec import sampling
from foretell_spec.bundle import Bundle
from foretell_spec.divergence import DeterminismClass
from foretell_spec.sidecar import Dissent
from foretell_spec.tensor import WAD
from tests.kit import models

INTEGER, FLOAT, SEEDED, _ = (DeterminismClass(n) for n in range(1, 5))
SEED = keccak(text="seed of the judge")
ALICE, BOB = "0x" + "aa" * 20, "0x" + "bb" * 20


@pytest.fixture(scope="module")
def worker():
    with InferenceWorker() as started:
        yield started


def question(folder):
    inputs = quantise_rows(folder.samples()[:1], folder.manifest.input_scale)[0]
    seed = SEED if folder.manifest.determinism is SEEDED else bytes(32)
    return Bundle(keccak(text="request"), folder.model_id, inputs, (), ALICE, seed)


def judged(folder, first, second, cache=None):
    asked = question(folder)
    dissent = Dissent(replace(asked, outputs=first), replace(asked, outputs=second, operator=BOB))
    with Judge(ModelStore([folder.path], cache)) as judge:
        return judge.judge(dissent)


def right(worker, folder):
    asked = question(folder)
    return graph.infer(worker, folder, asked.inputs, asked.seed)


def test_judge__integer__one_bit_is_a_deviation(folder_of, worker):
    folder = folder_of(INTEGER)
    (truth,) = right(worker, folder)

    found = judged(folder, (truth,), (truth + 1,))

    assert found.faults == (None, "not what the model gives, bit for bit")
    assert found.stands == (truth,)


def test_judge__both_lie__both_deviated_and_the_models_output_stands(folder_of, worker):
    folder = folder_of(INTEGER)
    (truth,) = right(worker, folder)

    found = judged(folder, (truth - 1,), (truth + 1,))

    assert None not in found.faults
    assert found.stands == (truth,)


def test_judge__circuit__the_witness_decides(worker, store):
    folder = models.volatility()
    asked = question(folder)
    truth = worker.witness(store.circuit(folder.model_id).circuit, asked.inputs)

    found = judged(folder, (truth[0] + 1,), truth, store.cache)

    assert found.faults == ("not what the model gives, bit for bit", None)
    assert found.stands == truth


def test_judge__float__within_tolerance_of_the_model_is_right(folder_of, worker):
    folder = folder_of(FLOAT)
    (truth,) = right(worker, folder)
    steps = folder.manifest.tolerance * 2**18 // WAD  # the tolerance, in steps of the output

    found = judged(folder, (truth - steps,), (truth + steps,))
    assert found.faults == (None, None)  # twice the tolerance apart, and neither is wrong
    assert found.stands == (truth,)

    found = judged(folder, (truth + steps + 1,), (truth,))
    assert found.faults == ("over the tolerance of 0.0001 away from the pinned runtime's value", None)
    assert found.stands == (truth,)


def test_judge__seeded__names_step_and_margin(folder_of, worker):
    folder = folder_of(SEEDED)
    truth = right(worker, folder)
    asked = question(folder)
    lie = (*truth[:3], (truth[3] + 1) % 3, *truth[4:])
    seen = (asked.inputs + truth)[3:5]
    missed = sampling.margin(SEED, 3, graph.logits(worker, folder)(seen), lie[3])

    found = judged(folder, truth, lie)

    assert found.faults == (None, f"token {lie[3]} of step 3 misses the best score by {missed / WAD:g}")
    assert found.stands == truth


def test_judge__seeded__token_that_the_model_does_not_have(folder_of, worker):
    folder = folder_of(SEEDED)
    truth = right(worker, folder)
    found = judged(folder, (7, *truth[1:]), truth)
    assert found.faults == ("token 7 of step 0 is none of the model's", None)


@pytest.mark.parametrize("determinism", [INTEGER, FLOAT, SEEDED])
@pytest.mark.parametrize("change", [lambda truth: truth[:-1], lambda truth: (*truth, 0)])
def test_judge__another_number_of_numbers__is_a_deviation(folder_of, worker, determinism, change):
    truth = right(worker, folder_of(determinism))
    found = judged(folder_of(determinism), truth, change(truth))
    assert found.faults == (
        None, f"{len(change(truth))} numbers, where the model gives {len(truth)}",
    )  # fmt: skip
    assert found.stands == truth


def test_judge__seeded_within_tau__both_are_right_and_the_lower_token_stands(tmp_path):
    # A tau of 100 admits whatever the model can say.
    folder = models.of_class(SEEDED, tmp_path / "m", tolerance=100.0)
    low, high = (0, 1, 2, 0, 1, 2, 0, 1), (0, 2, 0, 0, 0, 0, 0, 0)

    found = judged(folder, high, low)

    assert found.faults == (None, None)
    assert found.stands == low


def test_judge__model_that_is_not_here__is_an_error(folder_of):
    asked = question(folder_of(INTEGER))
    dissent = Dissent(replace(asked, outputs=(1,)), replace(asked, outputs=(2,)))
    with Judge(ModelStore([folder_of(FLOAT).path])) as judge, pytest.raises(UnknownModel):
        judge.judge(dissent)
