"""The shipped circuit against its ONNX file: quantised on chain, computed in integers, near all the same."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models.folder import MODEL
from foretell_relayer.models.store import CircuitCache
from foretell_spec.tensor import WAD, dequantise
from tests.kit import models

FOLDER = models.volatility()
LOW = FOLDER.manifest.input_min * (WAD >> FOLDER.manifest.input_scale)
HIGH = FOLDER.manifest.input_max * (WAD >> FOLDER.manifest.input_scale)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory):
    files = CircuitCache(tmp_path_factory.mktemp("cache")).files(FOLDER)
    with InferenceWorker() as worker:
        yield lambda q: worker.witness(files.circuit, q)


@pytest.fixture(scope="module")
def reference():
    session = onnxruntime.InferenceSession(str(Path(FOLDER.path) / MODEL), providers=["CPUExecutionProvider"])
    return lambda x: float(session.run(None, {"returns": np.array([x], dtype=np.float32)})[0][0, 0])


@settings(max_examples=100)
@given(inputs=st.lists(st.integers(LOW, HIGH), min_size=22, max_size=22))
def test_circuit__any_wad_input_of_the_domain__is_within_tolerance_of_onnx(answer, reference, inputs):
    q = FOLDER.manifest.quantise(tuple(inputs))

    (output,) = dequantise(answer(q), FOLDER.manifest.output_scale)

    # The tolerance is stated for usual returns; over the domain 44 features may each be off by half a step.
    bound = FOLDER.manifest.tolerance / WAD + 0.01
    assert abs(output / WAD - reference([x / WAD for x in inputs])) <= bound


def test_circuit__shipped_samples__are_within_the_stated_tolerance(answer, reference):
    rows = FOLDER.samples()
    errors = []
    for row in rows:
        q = FOLDER.manifest.quantise(tuple(round(x * 10**9) * 10**9 for x in row))
        errors.append(abs(answer(q)[0] / 2**FOLDER.manifest.output_scale - reference(row)))

    assert max(errors) <= FOLDER.manifest.tolerance / WAD


@settings(max_examples=30)
@given(
    inputs=st.lists(st.integers(LOW, HIGH), min_size=22, max_size=22),
)
def test_circuit__same_input_again__same_integers(answer, inputs):
    q = FOLDER.manifest.quantise(tuple(inputs))

    assert answer(q) == answer(q)
