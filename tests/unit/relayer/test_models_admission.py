"""What a model must pass before it answers anybody; and how far a machine's own answers differ."""

import json
import shutil
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from foretell_cli import main
from foretell_relayer.models import admission, onnx_file
from foretell_relayer.models import folder as folders
from foretell_relayer.models.admission import admit
from foretell_relayer.models.errors import BadFolder, BadModel, Inaccurate
from foretell_relayer.models.measure import CIRCUIT, measure, suggest
from foretell_relayer.models.store import CircuitCache
from foretell_spec.divergence import DeterminismClass
from foretell_spec.tensor import WAD
from tests.kit import models

INTEGER, FLOAT, SEEDED, OPEN = (DeterminismClass(n) for n in range(1, 5))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return CircuitCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def fresh(tmp_path):
    return CircuitCache(tmp_path / "cache")


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(models.VOLATILITY, tmp_path / "volatility")
    return tmp_path / "volatility"


def silent(_):
    pass


def test_admit__shipped_model__passes_once_and_is_remembered(cache):
    first = admit(models.volatility(), cache)

    assert first.samples == 128
    assert 0 < first.error <= first.tolerance
    assert admit(models.volatility(), cache) is None


@pytest.mark.parametrize("determinism", [INTEGER, FLOAT, SEEDED, OPEN])
def test_admit__each_class__passes(determinism, tmp_path, fresh):
    folder = models.of_class(determinism, tmp_path / "model")

    assert admit(folder, fresh) is not None
    assert admit(folder, fresh) is None


def test_admit__other_versions__are_checked_again(tmp_path, fresh, monkeypatch):
    folder = models.of_class(FLOAT, tmp_path / "model")
    admit(folder, fresh)
    monkeypatch.setattr(admission, "RULES", admission.RULES + 1)

    assert admit(folder, fresh) is not None


@pytest.mark.parametrize("stamp", [b"", b"{}", b"not json", b'{"rules": "1"}'])
def test_admit__stamp_that_says_nothing__is_no_admission(tmp_path, fresh, stamp):
    folder = models.of_class(FLOAT, tmp_path / "model")
    fresh.root.mkdir()
    (fresh.root / f"{folder.model_id.hex()}.admitted").write_bytes(stamp)

    assert admit(folder, fresh) is not None


def test_admit__circuit_further_off_than_declared__is_refused_each_time(cache, copy):
    """Samples on which ONNX Runtime gives another answer: the same circuit, asked elsewhere."""
    folder = folders.load(copy)
    object.__setattr__(folder.manifest, "tolerance", WAD // 10**6)
    object.__setattr__(folder, "path", copy)
    document = json.loads((copy / folders.MANIFEST).read_text())
    document["manifest"]["tolerance"] = str(WAD // 10**6)
    document["model_id"] = "0x" + folder.manifest.model_id.hex()
    (copy / folders.MANIFEST).write_text(json.dumps(document))

    for _ in range(2):
        with pytest.raises(Inaccurate):
            admit(folder, cache)


@pytest.mark.parametrize("what", ["missing", "outside", "shape", "bomb", "lie"])
def test_admit__samples_that_show_nothing__are_refused(cache, copy, what):
    file = copy / folders.SAMPLES
    if what == "missing":
        file.unlink()
    elif what == "outside":
        np.savez(file, inputs=np.full((3, 22), 1e6))
    elif what == "shape":
        np.savez(file, inputs=np.zeros((3, 21)))
    elif what == "bomb":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inputs.npy", bytes(300 << 20))
    else:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 22), }"
        data = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("inputs.npy", data)

    from foretell_relayer.models.errors import ModelError
    from foretell_spec.errors import SpecError

    fresh = CircuitCache(copy.parent / "fresh")
    with pytest.raises((ModelError, SpecError)):
        admit(folders.load(copy), fresh)


def test_admit__graph_exchanged_after_loading__is_refused(cache, copy, fresh):
    folder = folders.load(copy)
    shutil.copyfile(models.layer(copy.parent / "other.onnx", "Relu", 22), copy / folders.MODEL)

    with pytest.raises(BadFolder, match=r"model\.onnx is not what the manifest vouches for"):
        admit(folder, fresh)


# --------------------------------------------------------------------------------------------- operators


def graph_of(path, operator, **attributes):
    nodes = [helper.make_node(operator, ["x"], ["y"], **attributes)]
    shape = [1, 3]
    kind = TensorProto.FLOAT
    return models.save(path, nodes, ("x", kind, shape), ("y", kind, shape), {})


def test_inspect__output_that_is_another_one_each_time__is_open_alone(tmp_path):
    file = graph_of(tmp_path / "random.onnx", "RandomNormalLike")

    with pytest.raises(BadModel, match="uses RandomNormalLike: its output is another one each time"):
        onnx_file.inspect(file, FLOAT)
    assert onnx_file.inspect(file, OPEN).operators == ("RandomNormalLike",)


def test_inspect__random_operator_inside_a_branch__is_found(tmp_path):
    kind, shape = TensorProto.FLOAT, [1, 3]
    branch = helper.make_graph(
        [helper.make_node("RandomUniform", [], ["z"], shape=shape)],
        "branch",
        [],
        [helper.make_tensor_value_info("z", kind, shape)],
    )
    nodes = [
        helper.make_node("If", ["yes"], ["noise"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    file = models.save(
        tmp_path / "branch.onnx", nodes, ("x", kind, shape), ("y", kind, shape), {"yes": np.array(True)}
    )

    with pytest.raises(BadModel, match="RandomUniform"):
        onnx_file.inspect(file, FLOAT)


def test_inspect__operator_outside_the_standard__is_refused(tmp_path):
    kind, shape = TensorProto.FLOAT, [1, 3]
    node = helper.make_node("FusedGemm", ["x"], ["y"], domain="com.microsoft")
    file = models.save(tmp_path / "own.onnx", [node], ("x", kind, shape), ("y", kind, shape), {})

    with pytest.raises(BadModel):
        onnx_file.inspect(file, FLOAT)


def test_inspect__very_many_operations__are_refused(tmp_path):
    from foretell_relayer.models import onnx_tasks

    count = onnx_tasks.MAX_NODES + 1
    kind, shape = TensorProto.FLOAT, [1, 3]
    names = ["x", *(f"v{n}" for n in range(count - 1)), "y"]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)]
    file = models.save(tmp_path / "long.onnx", nodes, ("x", kind, shape), ("y", kind, shape), {})

    with pytest.raises(BadModel, match="operations; at most"):
        onnx_file.inspect(file, FLOAT)


# ---------------------------------------------------------------------------------------------- measuring


@pytest.mark.parametrize(
    ("needed", "suggested"),
    [(0, 0), (1e-4, 2e-4), (1.1e-4, 5e-4), (2.5e-4, 5e-4), (2.6e-4, 1e-3), (0.9, 2), (4.9, 10)],
)
def test_suggest__need__is_doubled_and_rounded_up(needed, suggested):
    assert suggest(needed) == pytest.approx(suggested)


def test_measure__circuit__suggests_what_its_error_needs(cache):
    found = measure(models.VOLATILITY, silent, cache)
    by_way = {each.way: each for each in found.spreads}

    assert by_way[CIRCUIT].largest > 0
    assert found.suggested >= 2 * by_way[CIRCUIT].largest
    assert by_way["reference"].largest < 1e-5
    assert not [each.why for each in found.spreads if each.why]


@pytest.mark.parametrize("determinism", [INTEGER, OPEN])
def test_measure__class_without_a_tolerance__suggests_none(determinism, tmp_path):
    models.of_class(determinism, tmp_path / "model")
    found = measure(tmp_path / "model", silent)

    assert found.suggested == 0
    assert determinism is OPEN or found.apart == 0


def test_measure__float__suggests_more_than_its_ways_differ_by(tmp_path):
    models.of_class(FLOAT, tmp_path / "model")
    found = measure(tmp_path / "model", silent)

    assert found.suggested > 2 * found.apart > 0
    assert found.apart >= max(each.largest for each in found.spreads)


def test_measure__seeded_that_only_looks_up__agrees_with_itself(tmp_path):
    models.of_class(SEEDED, tmp_path / "model")
    found = measure(tmp_path / "model", silent)

    assert (found.apart, found.suggested) == (0, 0)


def test_measure__command__tells_ways_and_verdict():
    told = CliRunner().invoke(main, ["model", "measure", str(models.VOLATILITY)])

    assert told.exit_code == 0, told.output
    for text in ("disabled", "4 threads", "reference", "circuit", "A tolerance of", "is wide enough"):
        assert text in told.output
