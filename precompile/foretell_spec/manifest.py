"""A model's manifest: everything that makes its output the one correct output, and the id that binds it.

The chain-side struct holds static words alone; what people read (name, shapes, the circuit's settings, the
hash of the ONNX file) is bound through ``metadata_hash``. ``model_id`` is the struct's hash, so the registry
computes it from the fields that it stores, and no entry can carry fields that its id does not vouch for.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any, Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import is_checksum_address, keccak

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.errors import ManifestError, TensorError
from foretell_spec.tensor import MAX_INPUTS, MAX_OUTPUTS, MAX_SCALE, QUANTISED_LIMIT, WAD, Tensor, quantise

MANIFEST_TYPE: Final = (
    "Manifest(uint8 determinism,address publisher,bytes32 metadata_hash,uint256 input_size,"
    "uint256 output_size,uint8 input_scale,uint8 output_scale,int256 input_min,int256 input_max,"
    "uint256 tolerance,bytes32 verifier_code_hash,bytes32 vka_digest,bytes32 enclave_measurement,"
    "uint64 challenge_window,uint64 proof_window)"
)
MANIFEST_TYPEHASH: Final = keccak(text=MANIFEST_TYPE)
MANIFEST_WORDS: Final = (
    "uint8", "address", "bytes32", "uint256", "uint256", "uint8", "uint8", "int256", "int256", "uint256",
    "bytes32", "bytes32", "bytes32", "uint64", "uint64",
)  # fmt: skip
MANIFEST_TUPLE: Final = f"({','.join(MANIFEST_WORDS)})"
"""The struct's ABI type, as ``IModelRegistry.register`` takes it."""

ZERO_HASH: Final = b"\0" * 32
MAX_WINDOW: Final = 30 * 24 * 3600
"""Longest challenge or proof window, in seconds; bonds stay locked no longer than one can plan for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What the chain knows of a model. Field order is that of the Vyper struct.

    ``input_min`` and ``input_max`` bound every quantised input element (inclusive); windows are in seconds.
    ``tolerance`` is in WAD and means, per class: the largest admitted distance between circuit and ONNX
    Runtime (``CIRCUIT``), the largest benign distance between two outputs (``FLOAT``), the score by which a
    sampled token may miss the best one (``SEEDED``). A zero ``publisher`` means that anybody may register the
    model and nobody can stop it.
    """

    determinism: DeterminismClass
    publisher: ChecksumAddress = ZERO_ADDRESS
    metadata_hash: bytes
    input_size: int
    output_size: int
    input_scale: int
    output_scale: int
    input_min: int
    input_max: int
    tolerance: int
    verifier_code_hash: bytes = ZERO_HASH
    vka_digest: bytes = ZERO_HASH
    enclave_measurement: bytes = ZERO_HASH
    challenge_window: int
    proof_window: int

    def __post_init__(self) -> None:
        _require(is_checksum_address(self.publisher), "publisher", "must be a checksummed address")
        for name in ("metadata_hash", "verifier_code_hash", "vka_digest", "enclave_measurement"):
            _require(len(getattr(self, name)) == 32, name, "must be 32 bytes")
        _require(1 <= self.input_size <= MAX_INPUTS, "input_size", f"must be 1..{MAX_INPUTS}")
        _require(1 <= self.output_size <= MAX_OUTPUTS, "output_size", f"must be 1..{MAX_OUTPUTS}")
        _require(0 <= self.input_scale <= MAX_SCALE, "input_scale", f"must be 0..{MAX_SCALE}")
        _require(0 <= self.output_scale <= MAX_SCALE, "output_scale", f"must be 0..{MAX_SCALE}")
        _require(
            -QUANTISED_LIMIT < self.input_min <= self.input_max, "input_min", "must be at most input_max"
        )
        _require(self.input_max < QUANTISED_LIMIT, "input_max", "is out of range")
        _require(0 <= self.tolerance < 2**256, "tolerance", "must be a uint256")
        _require(
            0 < self.challenge_window <= MAX_WINDOW, "challenge_window", f"must be 1..{MAX_WINDOW} seconds"
        )
        _require(0 < self.proof_window <= MAX_WINDOW, "proof_window", f"must be 1..{MAX_WINDOW} seconds")
        self._check_class()

    def _check_class(self) -> None:
        """What the class asks for, as ``ModelRegistry`` does."""
        if self.determinism is DeterminismClass.CIRCUIT:
            _require(any(self.verifier_code_hash), "verifier_code_hash", "is needed by class CIRCUIT")
        else:
            _require(not any(self.verifier_code_hash), "verifier_code_hash", "belongs to class CIRCUIT alone")
        if self.determinism is DeterminismClass.FLOAT:
            # Two values that are nearly equal may be quantised to neighbours.
            step = WAD >> self.output_scale
            _require(self.tolerance >= step, "tolerance", f"must be at least one step of the output ({step})")
        if self.determinism is DeterminismClass.SEEDED:
            _require(self.input_scale == self.output_scale == 0, "input_scale", "tokens are whole numbers")

    def words(self) -> tuple[Any, ...]:
        """The fields in order, as ``eth_abi`` takes them for ``MANIFEST_TUPLE``."""
        return astuple(self)

    @property
    def model_id(self) -> bytes:
        """keccak256 of the type hash and all fields."""
        return keccak(encode(["bytes32", *MANIFEST_WORDS], [MANIFEST_TYPEHASH, *self.words()]))

    def admit(self, inputs: Tensor) -> Tensor:
        """Check quantised inputs against size and domain, and return them.

        Raises:
            TensorError: wrong length, or an element outside ``input_min..input_max``.
        """
        if len(inputs) != self.input_size:
            raise TensorError(f"the model takes {self.input_size} numbers, not {len(inputs)}")
        for index, q in enumerate(inputs):
            if not self.input_min <= q <= self.input_max:
                raise TensorError(f"input {index} is outside the model's domain")
        return inputs

    def quantise(self, inputs: tuple[int, ...]) -> Tensor:
        """Quantise WAD inputs and check them as ``admit`` does."""
        return self.admit(quantise(inputs, self.input_scale))

    @classmethod
    def from_words(cls, words: tuple[Any, ...]) -> "Manifest":
        """Read the struct that ``IModelRegistry.entry`` returns.

        Raises:
            ManifestError: a field breaks a rule.
        """
        names = [field.name for field in fields(cls)]
        if len(words) != len(names):
            raise ManifestError(f"a manifest has {len(names)} fields, not {len(words)}")
        values = dict(zip(names, words, strict=True))
        try:
            values["determinism"] = DeterminismClass(values["determinism"])
        except ValueError:
            raise ManifestError(f"determinism: {values['determinism']} is no class") from None
        return cls(**values)


def _require(condition: bool, field: str, rule: str) -> None:
    if not condition:
        raise ManifestError(f"{field}: {rule}")


def canonical_json(metadata: Mapping[str, Any]) -> bytes:
    """The one text of a metadata object: sorted keys, no white space, UTF-8, no NaN.

    Raises:
        ManifestError: the object has no such text.
    """
    try:
        text = json.dumps(
            metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ManifestError(f"metadata: {error}") from None
    return text.encode()


def metadata_hash(metadata: Mapping[str, Any]) -> bytes:
    """keccak256 of ``canonical_json``."""
    return keccak(canonical_json(metadata))
