"""Models that ONNX Runtime runs itself: made, checked, refused where they are not of their class, and run."""

import json
import shutil

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from eth_keys import keys
from eth_utils import keccak
from onnx import helper, numpy_helper

from foretell_relayer.infer import graph
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import documents, onnx_file
from foretell_relayer.models import folder as folders
from foretell_relayer.models.add_graph import GraphOptions, add_graph
from foretell_relayer.models.check import check_folder
from foretell_relayer.models.cli import model as model_command
from foretell_relayer.models.documents import ManifestFile, Runtime, RuntimeMetadata
from foretell_relayer.models.errors import (
    BadFolder,
    BadModel,
    BadSamples,
    Inaccurate,
    NoProofs,
    WrongRuntime,
)
from foretell_relayer.models.samples import quantise_rows, to_wad
from foretell_relayer.models.store import ModelStore
from foretell_relayer.operator import Identity, LocalOperator
from foretell_relayer.runner import require_models
from foretell_spec import sampling
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import metadata_hash
from foretell_spec.operator import InferenceJob
from foretell_spec.tensor import WAD, quantise
from tests.kit import models

INTEGER, FLOAT, SEEDED, OPEN = (DeterminismClass(n) for n in range(1, 5))
CLASSES = [INTEGER, FLOAT, SEEDED, OPEN]
KEY = keys.PrivateKey(keccak(text="signer"))
SEED = keccak(text="seed")


def silent(_):
    pass


@pytest.fixture(scope="module")
def worker():
    with InferenceWorker() as started:
        yield started


def inputs_of(folder, row=0):
    return quantise_rows(folder.samples()[row : row + 1], folder.manifest.input_scale)[0]


def volatility_of(row):
    """The shipped float network by hand, in double precision."""
    weights = {
        tensor.name: numpy_helper.to_array(tensor).astype(np.float64)
        for tensor in onnx.load(str(models.VOLATILITY / "model.onnx")).graph.initializer
    }
    both = np.concatenate([np.maximum(row, 0), row])
    hidden = np.maximum(weights["first.weight"] @ both + weights["first.bias"], 0)
    return float((weights["second.weight"] @ hidden + weights["second.bias"])[0])


# ------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize("determinism", CLASSES)
def test_add_graph__each_class__gives_a_folder_that_loads_and_checks(folder_of, determinism):
    folder = folder_of(determinism)

    again = folders.load(folder.path)

    assert again == folder
    assert again.manifest.determinism is determinism
    assert isinstance(again.metadata, RuntimeMetadata) == (determinism in (FLOAT, SEEDED))
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "manifest.json", "model.onnx", "samples.npz",
    ]  # fmt: skip
    assert check_folder(folder.path, silent, prove=True).proving_seconds is None


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A model and samples: ONNX Runtime folds its factors into its weights, which changes the last bits."""
    draw, place = np.random.Generator(np.random.PCG64(3)), tmp_path_factory.mktemp("noisy")
    constants = {
        "w": draw.uniform(-1000, 1000, (4, 8, 1, 1)).astype(np.float32),
        "k": draw.uniform(0, 1, (1, 4, 1, 1)).astype(np.float32),
    }
    nodes = [helper.make_node("Conv", ["x", "w"], ["z"]), helper.make_node("Mul", ["z", "k"], ["y"])]
    kind = onnx.TensorProto.FLOAT
    models.save(place / "n.onnx", nodes, ("x", kind, [1, 8, 1, 1]), ("y", kind, [1, 4, 1, 1]), constants)
    np.savez(place / "n.npz", x=draw.uniform(-1, 1, (20, 8)))
    return place / "n.onnx", place / "n.npz"


def test_add_graph__tolerance_under_the_noise__is_refused(noisy, tmp_path):
    with pytest.raises(Inaccurate, match="give a --tolerance of at least") as caught:
        add_graph(*noisy, tmp_path / "m", GraphOptions("noisy", FLOAT, tolerance=1e-5), silent)
    needed = float(str(caught.value).rsplit(" ", 1)[1])

    added = add_graph(*noisy, tmp_path / "m", GraphOptions("noisy", FLOAT, tolerance=1.1 * needed), silent)

    assert 0 < added.figures.spread < needed


def test_add_graph__seeded_tolerance_under_twice_the_noise__is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "spread", lambda *_: 0.0006)
    with pytest.raises(Inaccurate, match=r"differ by 0.0006, .* --tolerance of at least 0.0012"):
        models.of_class(SEEDED, tmp_path / "m", tolerance=0.001)


def test_add_graph__seeded_sample_that_is_no_token__is_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", moves=np.array([[0, 3]]))
    options = ["--data", str(tmp_path / "bad.npz"), "--class", "seeded", "--out", str(tmp_path / "out")]
    made = str(models.next_move(tmp_path / "moves.onnx"))
    with pytest.raises(BadSamples, match="outside the --input-range of 0 to 2"):
        CliRunner().invoke(model_command, ["add", made, *options], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_add_graph__float_model_as_integer__is_refused(tmp_path):
    with pytest.raises(BadModel, match="only integers are supported"):
        CliRunner().invoke(
            model_command,
            ["add", str(models.VOLATILITY / "model.onnx"), "--data", str(models.VOLATILITY / "samples.npz"),
             "--class", "integer", "--out", str(tmp_path / "out")],
            catch_exceptions=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "option"),
    [
        ("circuit", ["--tokens", "3"]),
        ("circuit", ["--input-scale", "3"]),
        ("integer", ["--tolerance", "1"]),
        ("integer", ["--srs", "x"]),
        ("float", ["--ceremony", "x"]),
        ("float", ["--tokens", "3"]),
        ("seeded", ["--input-range", "0", "1"]),
        ("seeded", ["--output-scale", "0"]),
        ("open", ["--tolerance", "1"]),
        ("open", ["--max-logrows", "9"]),
    ],
)
def test_model_add__option_of_another_class__is_refused(chosen, option):
    result = CliRunner().invoke(
        model_command, ["add", "net.onnx", "--data", "x.npz", "--class", chosen, *option]
    )
    assert result.exit_code == 2
    assert f"{option[0]} says nothing about class {chosen}" in result.output


def test_model_add__float__says_what_was_made(tmp_path):
    result = CliRunner().invoke(
        model_command,
        ["add", str(models.VOLATILITY / "model.onnx"), "--data", str(models.VOLATILITY / "samples.npz"),
         "--class", "float", "--out", str(tmp_path / "out"), "--tolerance", "0.01"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "FLOAT" in result.output
    assert "onnxruntime" in result.output
    assert folders.load(tmp_path / "out").manifest.tolerance == WAD // 100
    shown = CliRunner().invoke(model_command, ["show", str(tmp_path / "out")])
    assert "optimisation all" in shown.output


def reseal(folder, target, change):
    """A copy of a folder with other metadata and manifest, and every hash made to fit, as a publisher can."""
    shutil.copytree(folder.path, target)
    document = json.loads((target / folders.MANIFEST).read_text())
    change(document)
    path = target / folders.MANIFEST
    path.write_text(json.dumps(document))
    read = documents.read(path, ManifestFile)
    hashed = metadata_hash(read.metadata.to_json())
    fields = read.manifest.model_copy(update={"metadata_hash": hashed})
    sealed = {"manifest": fields, "model_id": fields.manifest().model_id}
    path.write_text(documents.text(read.model_copy(update=sealed)))
    return target


def test_load__metadata_of_another_class__is_refused(folder_of, tmp_path):
    target = reseal(folder_of(FLOAT), tmp_path / "m", lambda d: d["metadata"].pop("runtime"))
    with pytest.raises(BadFolder, match="its metadata is not that of class FLOAT"):
        folders.load(target)


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", "1.0.0"), ("provider", "CUDAExecutionProvider"), ("optimisation", "disabled"),
     ("threads", 2), ("batch", 16), ("name", "tvm")],
)  # fmt: skip
@pytest.mark.parametrize("determinism", [FLOAT, SEEDED])
def test_prepare__pinned_runtime_is_another__is_refused(folder_of, tmp_path, determinism, field, value):
    def change(document):
        document["metadata"]["runtime"][field] = value

    store = ModelStore([reseal(folder_of(determinism), tmp_path / "m", change)])
    (folder,) = store
    with pytest.raises(WrongRuntime, match=f"another runtime: {field} {value} \\(here "):
        store.prepare(folder.model_id)


@pytest.mark.parametrize(
    ("determinism", "change", "error", "message"),
    [
        (FLOAT, {"determinism": "INTEGER", "tolerance": "0"}, BadModel, "only integers are supported"),
        (FLOAT, {"output_size": 2}, BadFolder, "has .* inputs and outputs, its manifest others"),
        (OPEN, {"input_size": 2}, BadFolder, "inputs and outputs"),
        (SEEDED, {"input_max": "3"}, BadFolder, "its domain is not within its 3 tokens"),
        (SEEDED, {"input_min": "-1"}, BadFolder, "its domain is not within its 3 tokens"),
    ],
)
def test_prepare__publisher_lies_about_the_graph__is_refused(
    folder_of, tmp_path, determinism, change, error, message
):
    def apply(document):
        document["manifest"].update(change)
        if change.get("determinism") == "INTEGER":
            document["metadata"].pop("runtime")

    store = ModelStore([reseal(folder_of(determinism), tmp_path / "m", apply)])
    (folder,) = store
    with pytest.raises(error, match=message):
        store.prepare(folder.model_id)


# ------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("row", range(5))
def test_infer__integer__is_the_fixed_point_network(folder_of, worker, row):
    folder = folder_of(INTEGER)

    (output,) = graph.infer(worker, folder, inputs_of(folder, row), SEED)

    assert output / 2**18 == pytest.approx(volatility_of(folder.samples()[row]), abs=0.01)


@pytest.mark.parametrize("determinism", [FLOAT, OPEN])
@pytest.mark.parametrize("row", range(5))
def test_infer__float__is_the_network_quantised(folder_of, worker, determinism, row):
    folder = folder_of(determinism)

    (output,) = graph.infer(worker, folder, inputs_of(folder, row), SEED)

    assert output / 2**18 == pytest.approx(volatility_of(folder.samples()[row]), abs=1e-4)


def test_infer__float__rounds_as_the_chain_does(folder_of, worker):
    folder = folder_of(FLOAT)
    inputs = inputs_of(folder)
    raw = worker.run(folder.path / folders.MODEL, folder.metadata.onnx_hash, [q / 2**18 for q in inputs])
    assert graph.infer(worker, folder, inputs, SEED) == quantise([to_wad(raw[0])], 18)


def test_infer__seeded__samples_by_the_rule(folder_of, worker):
    folder = folder_of(SEEDED)
    inputs = inputs_of(folder)

    tokens = graph.infer(worker, folder, inputs, SEED)

    assert len(tokens) == folder.manifest.output_size == 8
    assert set(tokens) <= {0, 1, 2}
    logits = graph.logits(worker, folder)
    assert sampling.first_fault(SEED, inputs, tokens, logits, 0) is None
    assert tokens == graph.infer(worker, folder, inputs, SEED)
    others = {graph.infer(worker, folder, inputs, keccak(text=str(n))) for n in range(4)}
    assert len(others) > 1


def test_infer__model_file_swapped_after_it_was_loaded__is_refused(folder_of, tmp_path):
    path = tmp_path / "model"
    shutil.copytree(folder_of(INTEGER).path, path)
    folder = folders.load(path)
    models.fixed_point(path / folders.MODEL, shift=1 << 11)
    with InferenceWorker() as fresh, pytest.raises(BadModel, match="not the one that the manifest vouches"):
        graph.infer(fresh, folder, inputs_of(folder), SEED)


def test_infer__graph_that_overflows__is_an_error(tmp_path, worker):
    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    kind = onnx.TensorProto.FLOAT
    models.save(tmp_path / "exp.onnx", nodes, ("x", kind, [1, 1]), ("y", kind, [1, 1]), {})
    np.savez(tmp_path / "x.npz", x=np.array([[0.0], [1.0]]))
    result = CliRunner().invoke(
        model_command,
        ["add", str(tmp_path / "exp.onnx"), "--data", str(tmp_path / "x.npz"), "--class", "open",
         "--input-range", "0", "100", "--out", str(tmp_path / "m")],
    )  # fmt: skip
    assert isinstance(result.exception, BadModel)
    assert "gives NaN or infinity" in str(result.exception)


# ------------------------------------------------------------------------------------ operators


def job_of(folder, assurance=Assurance.SIGNED):
    inputs = inputs_of(folder)
    return InferenceJob(
        keccak(text="request"), folder.model_id, inputs, assurance, 1, PRECOMPILE,
        SEED if folder.manifest.determinism is SEEDED else bytes(32),
    )  # fmt: skip


@pytest.mark.parametrize("determinism", CLASSES)
def test_answer__each_class__signs_the_output(folder_of, worker, determinism):
    folder = folder_of(determinism)
    job = job_of(folder)
    with LocalOperator(Identity(PRECOMPILE, KEY), ModelStore([folder.path])) as operator:
        operator.prepare()
        bundle = operator.answer(job)

    assert bundle.outputs == graph.infer(worker, folder, job.inputs, job.seed)
    assert (bundle.seed, bundle.proof) == (job.seed, b"")
    assert bundle.signer(1, PRECOMPILE) == KEY.public_key.to_checksum_address()


def test_answer__proof_of_a_model_without_circuit__is_refused(folder_of):
    folder = folder_of(INTEGER)
    with (
        LocalOperator(Identity(PRECOMPILE, KEY), ModelStore([folder.path])) as operator,
        pytest.raises(NoProofs, match="R-MOD-009: integer: class INTEGER has no circuits"),
    ):
        operator.answer(job_of(folder, Assurance.PROVEN))


def test_answer__not_admitted__is_refused_though_nobody_prepared(folder_of, tmp_path):
    def change(document):
        document["metadata"]["runtime"]["version"] = "0.1"

    store = ModelStore([reseal(folder_of(FLOAT), tmp_path / "m", change)])
    (folder,) = store
    with (
        LocalOperator(Identity(PRECOMPILE, KEY), store) as operator,
        pytest.raises(WrongRuntime),
    ):
        operator.answer(job_of(folder))


def test_relay__model_that_settlement_does_not_take__is_refused(folder_of):
    from foretell_relayer.errors import NoModel

    with pytest.raises(NoModel, match="open: Settlement takes models of class CIRCUIT alone"):
        require_models(ModelStore([folder_of(OPEN).path, models.VOLATILITY]))


def test_runtime_here__names_the_installed_version():
    import onnxruntime

    assert Runtime.here().version == onnxruntime.__version__
