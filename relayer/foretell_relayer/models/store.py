"""The models that this process knows, and a cache of what is derived from their folders.

Compiled circuit and keys are a function of ONNX file, settings and SRS, large, and quick to make again.
They live in one cache folder per ``model_id`` and are used only while their checksums hold; anything else
is rebuilt.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from eth_utils import keccak
from pydantic_core import from_json

from foretell_relayer.infer import graph
from foretell_relayer.models import folder as folders
from foretell_relayer.models.errors import BadFolder, NoProofs, UnknownModel
from foretell_relayer.models.folder import CircuitFolder, ModelFolder
from foretell_relayer.prove import circuit
from foretell_relayer.prove.circuit import EZKL_VERSION, CircuitFiles

log = structlog.get_logger(__name__)

SUMS: Final = "sums.json"
DERIVED: Final = ("circuit.compiled", "vk.key", "pk.key")


def default_cache() -> Path:
    """``$FORETELL_CACHE``, else ``foretell`` in the user's cache folder."""
    chosen = os.environ.get("FORETELL_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foretell"


class CircuitCache:
    """Derived files, one folder per model. Safe for many threads and processes at once."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or default_cache()
        self._checked: dict[bytes, CircuitFiles] = {}
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        """The cache's folder."""
        return self._root

    def files(self, folder: CircuitFolder) -> CircuitFiles:
        """The model's circuit and keys, made if they are missing or damaged.

        Raises:
            BadFolder: the folder's files do not give the key that its manifest vouches for.
            ProveError: EZKL could not make them.
        """
        with self._lock:
            known = self._checked.get(folder.model_id)
            if known is None or not known.pk.exists():
                known = self._checked[folder.model_id] = self._ensure(folder)
            return known

    def forget(self, model_id: bytes) -> None:
        """Remove a model's derived files, so that the next use makes them again."""
        with self._lock, self._locked(model_id):
            self._checked.pop(model_id, None)
            shutil.rmtree(self._place(model_id), ignore_errors=True)

    def _ensure(self, folder: CircuitFolder) -> CircuitFiles:
        place = self._place(folder.model_id)
        files = CircuitFiles.in_folder(folder.path, place)
        with self._locked(folder.model_id):
            if not _intact(place):
                self._build(folder, place)
        return files

    def _build(self, folder: CircuitFolder, place: Path) -> None:
        if folder.metadata.circuit.ezkl != EZKL_VERSION:
            raise BadFolder(
                f"{folder.path}: made for EZKL {folder.metadata.circuit.ezkl}, not for {EZKL_VERSION}"
            )
        log.info("circuit_set_up", model=folder.name, model_id="0x" + folder.model_id.hex())
        scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=self._root))
        try:
            _set_up(folder, CircuitFiles.in_folder(folder.path, scratch))
            (scratch / SUMS).write_text(json.dumps({name: _sum(scratch / name) for name in DERIVED}))
            shutil.rmtree(place, ignore_errors=True)
            scratch.rename(place)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def _place(self, model_id: bytes) -> Path:
        return self._root / model_id.hex()

    @contextmanager
    def _locked(self, model_id: bytes) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / f"{model_id.hex()}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _set_up(folder: CircuitFolder, files: CircuitFiles) -> None:
    circuit.compile_circuit(folder.path / folders.MODEL, files)
    circuit.setup(files)
    if keccak(files.vk.read_bytes()) != folder.metadata.circuit.vk_hash:
        raise BadFolder(f"{folder.path}: its files give another verifying key than the manifest states")


def _intact(place: Path) -> bool:
    try:
        sums = from_json((place / SUMS).read_bytes())
        return set(sums) == set(DERIVED) and all(_sum(place / name) == sums[name] for name in DERIVED)
    except (OSError, ValueError, TypeError):
        return False


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelStore:
    """Model folders by id."""

    def __init__(self, paths: Iterable[Path] = (), cache: CircuitCache | None = None) -> None:
        self._folders: dict[bytes, ModelFolder] = {}
        self._admitted: set[bytes] = set()
        self.cache = cache or CircuitCache()
        for path in paths:
            self.add(path)

    def add(self, path: Path) -> ModelFolder:
        """Read a model's folder, and know it from now on.

        Raises:
            BadFolder: see ``folder.load``.
        """
        folder = folders.load(path)
        self._folders[folder.model_id] = folder
        return folder

    def __iter__(self) -> Iterator[ModelFolder]:
        return iter(self._folders.values())

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._folders

    def get(self, model_id: bytes) -> ModelFolder:
        """The model's folder.

        Raises:
            UnknownModel: it is not here.
        """
        try:
            return self._folders[model_id]
        except KeyError:
            raise UnknownModel(
                f"model 0x{model_id.hex()} is not served here; name its folder when you start"
            ) from None

    def prepare(self, model_id: bytes) -> None:
        """Do what the first answer needs: set the circuit up, or admit the graph; once in a process.

        Raises:
            ModelError: the model cannot be served here.
            ProveError: EZKL could not set its circuit up.
        """
        folder = self.get(model_id)
        if isinstance(folder, CircuitFolder):
            self.cache.files(folder)
        elif model_id not in self._admitted:
            graph.admit(folder)
            self._admitted.add(model_id)

    def circuit(self, model_id: bytes) -> CircuitFiles:
        """The model's circuit and keys; made if need be, which takes from a second to minutes.

        Raises:
            NoProofs: it has no circuit.
        """
        folder = self.get(model_id)
        if not isinstance(folder, CircuitFolder):
            raise NoProofs(f"{folder.name}: class {folder.manifest.determinism.name} has no circuits")
        return self.cache.files(folder)
