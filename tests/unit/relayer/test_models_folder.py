"""Model folders: every byte that matters is vouched for, and folders appear whole or not at all."""

import json
import shutil

import pytest
from eth_utils import keccak

from foretell_relayer.models import documents
from foretell_relayer.models import folder as folders
from foretell_relayer.models.documents import ManifestFile
from foretell_relayer.models.errors import BadFolder
from foretell_spec.divergence import DeterminismClass
from foretell_spec.manifest import metadata_hash
from tests.kit import models


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(models.VOLATILITY, tmp_path / "volatility")
    return tmp_path / "volatility"


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_load__shipped_model__keeps_its_promises():
    folder = models.volatility()

    assert folder.manifest.determinism is DeterminismClass.CIRCUIT
    assert (folder.manifest.input_size, folder.manifest.output_size) == (22, 1)
    assert metadata_hash(folder.metadata.to_json()) == folder.manifest.metadata_hash
    assert len(folder.verifier.runtime) <= 24576
    assert folder.insecure


def test_samples__shipped_model__lie_in_its_domain():
    folder = models.volatility()
    rows = folder.samples()

    scale = 2**folder.manifest.input_scale
    assert rows.shape[1] == folder.manifest.input_size
    assert folder.manifest.input_min <= rows.min() * scale <= rows.max() * scale <= folder.manifest.input_max


@pytest.mark.parametrize("name", [folders.MODEL, folders.SETTINGS, folders.SRS])
def test_load__byte_changed__is_refused(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)

    with pytest.raises(BadFolder, match=f"{name} is not what the manifest vouches for"):
        folders.load(copy)


@pytest.mark.parametrize(
    "name", [folders.MODEL, folders.SETTINGS, folders.SRS, folders.MANIFEST, folders.VERIFIER]
)
def test_load__file_missing__is_refused(copy, name):
    (copy / name).unlink()

    with pytest.raises(BadFolder, match=f"R-MOD-005: .*{name}"):
        folders.load(copy)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (folders.MANIFEST, lambda d: d.update(model_id="0x" + "11" * 32)),
        (folders.MANIFEST, lambda d: d["manifest"].update(tolerance="1")),
        (folders.MANIFEST, lambda d: d["manifest"].update(determinism="MAGIC")),
        (folders.MANIFEST, lambda d: d["manifest"].update(publisher="nobody")),
        (folders.MANIFEST, lambda d: d["manifest"].update(input_scale=19)),
        (folders.MANIFEST, lambda d: d["manifest"].update(input_min="x")),
        (folders.MANIFEST, lambda d: d["manifest"].pop("proof_window")),
        (folders.MANIFEST, lambda d: d["metadata"]["circuit"].update(logrows=11)),
        (folders.MANIFEST, lambda d: d["metadata"]["srs"].update(ceremony="perpetual-powers-of-tau")),
        (folders.MANIFEST, lambda d: d.update(format=2)),
        (folders.MANIFEST, lambda d: d.update(extra=1)),
        (folders.VERIFIER, lambda d: d.update(runtime=d["runtime"][:-2] + "00")),
        (folders.VERIFIER, lambda d: d.update(bytecode="xyz")),
    ],
)
def test_load__document_changed__is_refused(copy, name, change):
    edit(copy / name, change)

    with pytest.raises(BadFolder, match="R-MOD-005"):
        folders.load(copy)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "NaN", "[" * 100_000], ids=lambda text: text[:4] or "empty"
)
def test_load__manifest_is_no_object__is_refused(copy, text):
    (copy / folders.MANIFEST).write_text(text)

    with pytest.raises(BadFolder):
        folders.load(copy)


def reseal(path, change):
    """Change the settings as a publisher could: with every hash made to fit."""
    edit(path / folders.SETTINGS, change)
    document = documents.read(path / folders.MANIFEST, ManifestFile)
    hashed = {"settings_hash": keccak((path / folders.SETTINGS).read_bytes())}
    circuit = document.metadata.circuit.model_copy(update=hashed)
    metadata = document.metadata.model_copy(update={"circuit": circuit})
    fields = document.manifest.model_copy(update={"metadata_hash": metadata_hash(metadata.to_json())})
    sealed = {"metadata": metadata, "manifest": fields, "model_id": fields.manifest().model_id}
    (path / folders.MANIFEST).write_text(documents.text(document.model_copy(update=sealed)))


def test_load__settings_resealed_unchanged_in_meaning__is_accepted(copy):
    reseal(copy, lambda d: d.update(timestamp=1))

    assert folders.load(copy).name == "volatility"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["run_args"].update(param_visibility="Private"), "param_visibility: Private"),
        (lambda d: d["run_args"].update(input_visibility="Hashed"), "input_visibility: Hashed"),
        (lambda d: d["run_args"].update(output_visibility="Private"), "output_visibility: Private"),
        (lambda d: d["run_args"].update(param_scale=2), "param_scale: 2, where the model needs 10"),
        (lambda d: d["run_args"].update(logrows=9), "logrows: 9"),
        (lambda d: d.update(model_input_scales=[9]), "the input's scale:"),
        (lambda d: d.update(model_output_scales=[9]), "the output's scale:"),
        (lambda d: d.update(model_instance_shapes=[[1, 22], [1, 2]]), "the sizes:"),
        (lambda d: d.pop("run_args"), "run_args: Field required"),
    ],
)
def test_load__publisher_means_another_circuit__is_refused(copy, change, message):
    reseal(copy, change)

    with pytest.raises(BadFolder, match=message):
        folders.load(copy)


def files_of(path):
    return {name: path / name for name in (folders.MODEL, folders.SETTINGS, folders.SRS)}


def test_write__new_place__gives_the_same_model(tmp_path, copy):
    folder = folders.load(copy)

    written = folders.write(
        tmp_path / "new" / "place", folder, files_of(copy), folder.samples(), replace=False
    )

    assert written.model_id == folder.model_id
    assert (written.samples() == folder.samples()).all()


def test_write__files_do_not_match__leaves_nothing(tmp_path, copy):
    folder = folders.load(copy)
    (copy / folders.SRS).write_bytes(b"another")

    with pytest.raises(BadFolder):
        folders.write(tmp_path / "new", folder, files_of(copy), folder.samples(), replace=False)

    assert [path.name for path in tmp_path.iterdir()] == ["volatility"]


def test_write__over_a_model__only_when_told(tmp_path, copy):
    folder = folders.load(copy)
    target = tmp_path / "target"
    folders.write(target, folder, files_of(copy), folder.samples(), replace=False)

    with pytest.raises(BadFolder, match="--replace"):
        folders.write(target, folder, files_of(copy), folder.samples(), replace=False)
    written = folders.write(target, folder, files_of(copy), folder.samples()[:3], replace=True)

    assert len(written.samples()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target", "volatility"]


def test_write__over_something_else__never(tmp_path, copy):
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("precious")

    folder = folders.load(copy)
    with pytest.raises(BadFolder, match="is no model"):
        folders.write(tmp_path / "diary", folder, files_of(copy), folder.samples(), replace=True)

    assert (tmp_path / "diary" / "today.txt").read_text() == "precious"
