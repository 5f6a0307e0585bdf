"""One model's folder: read with every hash checked, written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from eth_utils import keccak

from foretell_relayer.models import documents, samples, settings_file, srs
from foretell_relayer.models.documents import (
    FORMAT,
    METADATA,
    CircuitMetadata,
    ManifestFields,
    ManifestFile,
    Metadata,
    RuntimeMetadata,
    VerifierFile,
)
from foretell_relayer.models.errors import BadFolder, BadSamples
from foretell_relayer.models.samples import Array
from foretell_spec.errors import SpecError
from foretell_spec.manifest import Manifest, metadata_hash

MODEL: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
SETTINGS: Final = "settings.json"
SRS: Final = "kzg.srs"
VERIFIER: Final = "verifier.json"
SAMPLES: Final = "samples.npz"
SAMPLES_NAME: Final = "inputs"


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model as published. Everything but the samples is what ``model_id`` vouches for."""

    path: Path
    manifest: Manifest
    metadata: Metadata

    @property
    def name(self) -> str:
        """The model's name, for people."""
        return self.metadata.name

    @property
    def model_id(self) -> bytes:
        """The manifest's id."""
        return self.manifest.model_id

    @property
    def insecure(self) -> bool:
        """Whether its proofs are worth something on development chains only; without proofs, no."""
        return False

    def samples(self) -> Array:
        """The samples that ship with the model, ``[n, input_size]`` floats; for demonstrations and checks."""
        try:
            return samples.load(self.path / SAMPLES, SAMPLES_NAME, self.metadata.input_shape)
        except BadSamples as error:
            raise BadFolder(f"{self.path / SAMPLES}: {error.message}") from None


@dataclass(frozen=True, slots=True)
class CircuitFolder(ModelFolder):
    """A model of class CIRCUIT: its outputs can be proved."""

    metadata: CircuitMetadata
    verifier: VerifierFile
    public_setup: bool

    @property
    def insecure(self) -> bool:
        """Whatever its publisher says of the SRS: only a file that is known to be public counts."""
        return not self.public_setup


def load(path: Path) -> ModelFolder:
    """Read a folder; of class CIRCUIT, a ``CircuitFolder``.

    Raises:
        BadFolder: a file is missing, malformed, or not the one that the manifest vouches for.
    """
    path = path.resolve()
    document = documents.read(path / MANIFEST, ManifestFile)
    if document.format != FORMAT:
        raise BadFolder(f"{path}: its format is {document.format}; this version reads {FORMAT}")
    try:
        manifest = document.manifest.manifest()
    except SpecError as error:
        raise BadFolder(f"{path / MANIFEST}: {error}") from None
    metadata = document.metadata
    if type(metadata) is not METADATA[manifest.determinism]:
        raise BadFolder(f"{path / MANIFEST}: its metadata is not that of class {manifest.determinism.name}")
    _same(metadata_hash(metadata.to_json()), manifest.metadata_hash, path, "the metadata")
    _same(manifest.model_id, document.model_id, path, "the manifest's fields")
    _same(_file_hash(path / MODEL), metadata.onnx_hash, path, MODEL)
    if isinstance(metadata, CircuitMetadata):
        return _with_circuit(path, manifest, metadata)
    return ModelFolder(path, manifest, metadata)


def load_circuit(path: Path) -> CircuitFolder:
    """Read the folder of a model of class CIRCUIT.

    Raises:
        BadFolder: as ``load``, or it is of another class.
    """
    folder = load(path)
    if not isinstance(folder, CircuitFolder):
        raise BadFolder(f"{path}: a model of class {folder.manifest.determinism.name}, which has no circuit")
    return folder


def _with_circuit(path: Path, manifest: Manifest, metadata: CircuitMetadata) -> CircuitFolder:
    verifier = documents.read(path / VERIFIER, VerifierFile)
    _same(verifier.compiled().code_hash, manifest.verifier_code_hash, path, VERIFIER)
    _same(_file_hash(path / SETTINGS), metadata.circuit.settings_hash, path, SETTINGS)
    _same(_file_hash(path / SRS), metadata.srs.hash, path, SRS)
    settings_file.check(path / SETTINGS, manifest, metadata.circuit)
    return CircuitFolder(path, manifest, metadata, verifier, srs.is_public(path / SRS))


def write(
    path: Path, folder: ModelFolder, files: Mapping[str, Path], samples: Array, *, replace: bool
) -> ModelFolder:
    """Write a folder beside ``path`` and move it there in one step.

    Args:
        path: where it shall be.
        folder: what it says; its own ``path`` is not used.
        files: paths of the ONNX file, and for a circuit of the settings and the SRS, by their names in the
            folder.
        samples: ``[n, input_size]``.
        replace: whether a model that is already there may go.

    Raises:
        BadFolder: something is there that must not go.
    """
    path = path.resolve()
    require_free(path, replace=replace)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, source in files.items():
            shutil.copyfile(source, scratch / name)
        fields = ManifestFields.of(folder.manifest)
        manifest = ManifestFile(
            format=FORMAT,
            model_id=folder.model_id,
            manifest=fields,
            metadata=folder.metadata,
        )
        (scratch / MANIFEST).write_text(documents.text(manifest))
        if isinstance(folder, CircuitFolder):
            (scratch / VERIFIER).write_text(documents.text(folder.verifier))
        _save_samples(scratch / SAMPLES, samples)
        scratch.chmod(0o755)
        load(scratch)
        move_into_place(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return load(path)


def require_free(path: Path, *, replace: bool) -> None:
    """Refuse a ``path`` that holds anything but a model that may be replaced."""
    if not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and not (path / MANIFEST).is_file()):
        raise BadFolder(f"{path} is there already and is no model; choose another folder with --out")
    if (path / MANIFEST).is_file() and not replace:
        raise BadFolder(f"{path} holds a model already; choose another folder with --out, or say --replace")


def move_into_place(source: Path, target: Path) -> None:
    """Put the folder ``source`` at ``target``; what was there is gone afterwards, and is still there on
    failure.
    """
    old = target.with_name(f".{target.name}-old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    try:
        source.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _save_samples(path: Path, samples: Array) -> None:
    np.savez(path, **{SAMPLES_NAME: samples})


def _file_hash(path: Path) -> bytes:
    try:
        return keccak(path.read_bytes())
    except OSError as error:
        raise BadFolder(f"{path}: {error.strerror}") from None


def _same(found: bytes, stated: bytes, path: Path, what: str) -> None:
    if found != stated:
        raise BadFolder(
            f"{path}: {what} is not what the manifest vouches for; "
            "the folder was altered or damaged, get it again"
        )


def describe(folder: ModelFolder) -> dict[str, Any]:
    """Facts about a folder in the order in which people ask for them."""
    manifest = folder.manifest
    low, high = (bound / 2**manifest.input_scale for bound in (manifest.input_min, manifest.input_max))
    return {
        "name": folder.name,
        "model id": "0x" + folder.model_id.hex(),
        "class": manifest.determinism.name,
        "input": f"{folder.metadata.input_shape}, {manifest.input_scale} bits, {low:g} to {high:g}",
        "output": f"{folder.metadata.output_shape}, {manifest.output_scale} bits",
        "tolerance": f"{manifest.tolerance / 10**18:g}",
        **_describe_class(folder),
        "windows": f"challenge {manifest.challenge_window} s, proof {manifest.proof_window} s",
    }


def _describe_class(folder: ModelFolder) -> dict[str, str]:
    if isinstance(folder, CircuitFolder):
        circuit, verifier = folder.metadata.circuit, folder.verifier
        return {
            "circuit": f"EZKL {circuit.ezkl}, 2**{circuit.logrows} rows, base {circuit.decomp_base}, "
            f"{circuit.decomp_legs} digits, scale {circuit.param_scale}",
            "verifier": f"{len(verifier.runtime)} bytes, solc {verifier.solc}, "
            f"code hash 0x{verifier.code_hash.hex()}",
            "SRS": folder.metadata.srs.ceremony
            + (": INSECURE (development chains only)" if folder.insecure else ""),
        }
    if isinstance(folder.metadata, RuntimeMetadata):
        runtime = folder.metadata.runtime
        return {
            "runtime": f"{runtime.name} {runtime.version}, {runtime.provider}, optimisation "
            f"{runtime.optimisation}, {runtime.threads} thread, batch {runtime.batch}"
        }
    return {}
