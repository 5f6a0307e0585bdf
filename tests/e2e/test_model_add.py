"""``foretell model add``, from an ONNX file to a folder that is served; and the shipped model, rebuilt."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from eth_keys import keys
from eth_utils import keccak

from foretell_cli import main
from foretell_relayer.models import folder as folders
from foretell_relayer.models import gas
from foretell_relayer.models.store import CircuitCache, ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.operator import InferenceJob
from tests.kit import models

REPRODUCED = (folders.MODEL, folders.MANIFEST, folders.SETTINGS, folders.VERIFIER, folders.SAMPLES)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory):
    place = tmp_path_factory.mktemp("add")
    onnx, data = models.tiny(place / "net.onnx"), models.samples(place / "s.npz")
    arguments = [
        "model",
        "add",
        str(onnx),
        "--data",
        str(data),
        "--out",
        str(place / "out"),
        "--tolerance",
        "0.05",
    ]
    return CliRunner().invoke(main, arguments), place / "out"


@pytest.mark.slow
def test_add__second_model__says_what_it_costs(added):
    result, out = added

    assert result.exit_code == 0, result.output
    for fact in (
        "model net",
        "error against ONNX Runtime",
        "proof",
        "gas as a transaction",
        "development chains",
    ):
        assert fact in result.output
    assert "comparing circuit and ONNX Runtime at" in result.output
    assert [path.name for path in out.parent.iterdir() if path.is_dir()] == ["out"]


@pytest.mark.slow
def test_add__second_model__is_served_with_proof_that_its_contract_accepts(added, tmp_path):
    _, out = added
    key = keys.PrivateKey(keccak(text="operator"))
    store = ModelStore([out], CircuitCache(tmp_path))
    (folder,) = store
    q = folder.manifest.quantise((10**18, -(10**18) // 2, 10**18 // 4))
    job = InferenceJob(b"\1" * 32, folder.model_id, q, Assurance.PROVEN, 31337, PRECOMPILE)

    with LocalOperator(Identity(key.public_key.to_checksum_address(), key), store) as operator:
        bundle = operator.answer(job)

    verifier = folder.verifier.compiled()
    assert gas.measure(verifier, bundle.inputs, bundle.outputs, bundle.proof).call < 600_000


@pytest.mark.slow
def test_add__same_srs_again__same_model(added, tmp_path):
    _, out = added
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")
    again = ["model", "add", str(onnx), "--data", str(data), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*again, "--tolerance", "0.05", "--srs", str(out / folders.SRS)])

    assert result.exit_code == 0, result.output
    assert all((tmp_path / "out" / name).read_bytes() == (out / name).read_bytes() for name in REPRODUCED)


@pytest.mark.slow
def test_add__ctrl_c_in_the_middle__leaves_nothing(tmp_path):
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")
    command = [sys.executable, "-c", "from foretell_cli import main; main()"]
    arguments = ["model", "add", str(onnx), "--data", str(data), "--out", str(tmp_path / "out")]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [*command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    ) as adding:
        shown = ""
        while "finding the range" not in shown:
            shown = adding.stderr.readline()
        children = psutil.Process(adding.pid).children()
        adding.send_signal(signal.SIGINT)
        _, rest = adding.communicate(timeout=20)

    assert adding.returncode == 130
    assert "Interrupted." in rest
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out").exists()


def run_script(name: str, out: Path) -> None:
    command = [sys.executable, "-m", f"scripts.{name}", "--out", str(out)]
    done = subprocess.run(command, cwd=models.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def same(one: Path, other: Path) -> bool:
    if one.suffix == ".npz":  # its bytes depend on the version of Python's zipfile
        with np.load(one) as arrays, np.load(other) as others:
            return arrays.files == others.files and all(
                arrays[name].tobytes() == others[name].tobytes() for name in arrays.files
            )
    return one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_build_model__shipped_model__is_reproduced_byte_for_byte(tmp_path):
    run_script("build_model", tmp_path / "volatility")

    names = [
        name for name in REPRODUCED if not same(tmp_path / "volatility" / name, models.VOLATILITY / name)
    ]
    assert names == []


@pytest.mark.slow
def test_train_volatility__onnx_file__is_reproduced_byte_for_byte(tmp_path):
    run_script("train_volatility", tmp_path / "model.onnx")

    assert same(tmp_path / "model.onnx", models.VOLATILITY / folders.MODEL)
