"""Proofs by content, on disk: one question is proved once on a machine, whoever asks.

A proof is found by model, input and output, so nothing can be found under the wrong name; a file that was
damaged is found out by its checksum. It is verified before it is stored, and by the contract when it is
used.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

import structlog
from eth_utils import keccak

from foretell_spec.bundle import MAX_PROOF_BYTES
from foretell_spec.tensor import Tensor, tensor_hash

log = structlog.get_logger(__name__)

_SUM_BYTES: Final = 32


class ProofCache:
    """A folder of proofs. Safe for many threads and processes at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, model_id: bytes, inputs: Tensor, outputs: Tensor) -> bytes | None:
        """The proof, or ``None`` where there is none or it is damaged."""
        try:
            data = self._place(model_id, inputs, outputs).read_bytes()
        except OSError:
            return None
        checksum, proof = data[:_SUM_BYTES], data[_SUM_BYTES:]
        if hashlib.sha256(proof).digest() != checksum or not 0 < len(proof) <= MAX_PROOF_BYTES:
            return None
        return proof

    def put(self, model_id: bytes, inputs: Tensor, outputs: Tensor, proof: bytes) -> None:
        """Keep a proof. A disk that refuses it costs time later and nothing else."""
        place = self._place(model_id, inputs, outputs)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(proof).digest() + proof)
            Path(name).replace(place)
        except OSError as error:
            log.warning("proof_not_cached", why=str(error))

    def _place(self, model_id: bytes, inputs: Tensor, outputs: Tensor) -> Path:
        name = keccak(model_id + tensor_hash(inputs) + tensor_hash(outputs)).hex()
        return self._root / name[:2] / name
