from collections.abc import Callable
from functools import cache as cache_results
from pathlib import Path

import pytest

from foretell_relayer.models.folder import ModelFolder
from foretell_relayer.models.store import CircuitCache, ModelStore
from foretell_relayer.prove import circuit
from foretell_relayer.prove.circuit import CircuitFiles, RunArgs
from foretell_spec.divergence import DeterminismClass
from tests.kit import models


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_circuit(tiny_onnx: Path) -> CircuitFiles:
    """A circuit with keys. Shared: tests that damage its files work on copies."""
    files = CircuitFiles.in_folder(tiny_onnx.parent, tiny_onnx.parent)
    arguments = RunArgs(input_scale=7, param_scale=7, logrows=8, decomp_base=128, decomp_legs=3)
    circuit.gen_settings(tiny_onnx, files.settings, arguments)
    circuit.compile_circuit(tiny_onnx, files)
    circuit.gen_srs(files.srs, arguments.logrows)
    circuit.setup(files)
    return files


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CircuitCache:
    return CircuitCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def store(cache: CircuitCache) -> ModelStore:
    """A store that knows the shipped model."""
    return ModelStore([models.VOLATILITY], cache)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[DeterminismClass], ModelFolder]:
    """The folder of a small real model of a class without circuits. Shared: spoil copies."""
    return cache_results(lambda each: models.of_class(each, tmp_path_factory.mktemp(each.name) / "model"))
