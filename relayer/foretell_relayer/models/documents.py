"""The JSON files of a model folder as pydantic models: the edge at which their text becomes values.

Bytes are 0x-hexadecimal; integers that may exceed 53 bits are decimal strings, which every JSON reader
keeps exact.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from eth_typing import ChecksumAddress
from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, PlainValidator, ValidationError
from pydantic_core import from_json

from foretell_relayer.models import profile
from foretell_relayer.models.errors import BadFolder
from foretell_relayer.prove.solidity import CompiledVerifier
from foretell_spec.divergence import DeterminismClass
from foretell_spec.errors import SpecError
from foretell_spec.manifest import Manifest

FORMAT: Final = 1
"""Version of the folder's layout."""

MAX_JSON_BYTES: Final = 16 << 20


def _to_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("0x-hexadecimal expected")
    return bytes.fromhex(value[2:])


def _to_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < 100:
        return int(value)
    raise ValueError("a decimal string expected")


def _is_hash(value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError("32 bytes expected")
    return value


Hex = Annotated[bytes, PlainValidator(_to_bytes), PlainSerializer(lambda value: "0x" + value.hex())]
Hash = Annotated[Hex, AfterValidator(_is_hash)]
Big = Annotated[int, PlainValidator(_to_int), PlainSerializer(str)]


class _Document(BaseModel):
    # Built when one is read: a chain without models starts without it.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class ManifestFields(_Document):
    """``foretell_spec.manifest.Manifest``, field by field."""

    determinism: str
    publisher: str
    metadata_hash: Hash
    input_size: int
    output_size: int
    input_scale: int
    output_scale: int
    input_min: Big
    input_max: Big
    tolerance: Big
    verifier_code_hash: Hash
    vka_digest: Hash
    enclave_measurement: Hash
    challenge_window: int
    proof_window: int

    @classmethod
    def of(cls, manifest: Manifest) -> "ManifestFields":
        """The document of a manifest."""
        values = {name: getattr(manifest, name) for name in cls.model_fields}
        return cls.model_validate(values | {"determinism": manifest.determinism.name})

    def manifest(self) -> Manifest:
        """The manifest, checked by its own rules.

        Raises:
            SpecError: a field breaks a rule.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        if self.determinism not in DeterminismClass.__members__:
            raise SpecError(f"determinism: {self.determinism!r} is no class")
        values["determinism"] = DeterminismClass[self.determinism]
        values["publisher"] = ChecksumAddress(values["publisher"])
        return Manifest(**values)


class Srs(_Document):
    """The structured reference string: keccak256 of the file, and where it comes from."""

    hash: Hash
    ceremony: str


class Circuit(_Document):
    """What determines the circuit: EZKL's version and settings, and hashes of its settings file and key."""

    ezkl: str
    logrows: int
    decomp_base: int
    decomp_legs: int
    input_scale: int
    param_scale: int
    scale_rebase_multiplier: int
    num_inner_cols: int
    lookup_range: list[int]
    input_visibility: str
    output_visibility: str
    param_visibility: str
    settings_hash: Hash
    vk_hash: Hash


class VerifierSource(_Document):
    """What the verifier contract was compiled from, and by which compiler."""

    solidity_hash: Hash
    solc: str


class Runtime(_Document):
    """What defines the values of a model that computes with floats."""

    name: str
    version: str
    provider: str
    optimisation: str
    threads: int
    batch: int

    @classmethod
    def here(cls) -> "Runtime":
        """The runtime that this process has."""
        return cls(
            name=profile.NAME,
            version=version(profile.NAME),
            provider=profile.PROVIDER,
            optimisation=profile.OPTIMISATION,
            threads=profile.THREADS,
            batch=profile.BATCH,
        )


class Metadata(_Document):
    """The part of a model that people read; the chain knows its hash."""

    name: str
    onnx_hash: Hash
    input_shape: list[int]
    output_shape: list[int]

    def to_json(self) -> dict[str, Any]:
        """The object whose canonical JSON is hashed into the manifest."""
        return self.model_dump(mode="json")


class RuntimeMetadata(Metadata):
    """Of class FLOAT or SEEDED."""

    runtime: Runtime


class CircuitMetadata(Metadata):
    """Of class CIRCUIT."""

    circuit: Circuit
    srs: Srs
    verifier: VerifierSource


METADATA: Final[dict[DeterminismClass, type[Metadata]]] = {
    DeterminismClass.CIRCUIT: CircuitMetadata,
    DeterminismClass.INTEGER: Metadata,
    DeterminismClass.FLOAT: RuntimeMetadata,
    DeterminismClass.SEEDED: RuntimeMetadata,
    DeterminismClass.OPEN: Metadata,
}
"""What people must be able to read of a model of each class."""


class ManifestFile(_Document):
    """``manifest.json``."""

    format: int
    model_id: Hash
    manifest: ManifestFields
    metadata: CircuitMetadata | RuntimeMetadata | Metadata


class VerifierFile(_Document):
    """``verifier.json``: the compiled verifier contract, with the circuit's key if it is the reusable one.

    ``code_hash`` is that of the contract that the manifest pins.
    """

    contract: str
    abi: list[dict[str, Any]]
    bytecode: Hex
    runtime: Hex
    code_hash: Hash
    solidity_hash: Hash
    solc: str
    vka: list[Hash]

    @classmethod
    def of(cls, compiled: CompiledVerifier) -> "VerifierFile":
        """The document of a contract."""
        values = {name: getattr(compiled, name) for name in cls.model_fields}
        return cls.model_validate(values | {"vka": list(compiled.vka)})

    def compiled(self) -> CompiledVerifier:
        """The contract as the compiler gave it."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name != "code_hash"}
        return CompiledVerifier(**values | {"vka": tuple(self.vka)})


D = TypeVar("D", bound=BaseModel)


def read(path: Path, kind: type[D]) -> D:
    """Read one of the files above.

    Raises:
        BadFolder: missing, too large, no JSON, or not of this form.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadFolder(f"{path}: too large")
        return kind.model_validate(from_json(path.read_bytes(), allow_inf_nan=False))
    except FileNotFoundError:
        raise BadFolder(f"{path}: no such file") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadFolder(f"{path}: {where}: {first['msg']}") from None
    except (OSError, ValueError) as error:
        raise BadFolder(f"{path}: {error}") from None


def text(document: BaseModel | Mapping[str, Any]) -> str:
    """The text of a document, the same for the same values."""
    values = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
