"""Blobs of transactions (EIP-4844): checked at the door; blocks keep their hashes alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import ckzg
import rlp
from eth.abc import BlockHeaderAPI
from eth.precompiles.point_evaluation import TRUSTED_SETUP_PATH
from eth.vm.forks.cancun.constants import GAS_PER_BLOB, MIN_BLOB_BASE_FEE, VERSIONED_HASH_VERSION_KZG
from eth.vm.forks.cancun.state import fake_exponential
from eth.vm.forks.prague.constants import BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, MAX_BLOB_GAS_PER_BLOCK
from rlp.exceptions import RLPException

from foretell_evm.errors import TransactionRejected

BLOB_TYPE: Final = 3
BLOB_BYTES: Final = 131_072
MAX_BLOBS: Final = MAX_BLOB_GAS_PER_BLOCK // GAS_PER_BLOB
"""Of one block, and so of one transaction."""
_HASHES_AT: Final = 10
"""Place of the versioned hashes in a blob transaction's payload."""


@dataclass(frozen=True, slots=True)
class BlobSidecar:
    """Blobs of 131,072 bytes, their KZG commitments and proofs of 48 bytes each."""

    blobs: tuple[bytes, ...]
    commitments: tuple[bytes, ...]
    proofs: tuple[bytes, ...]

    @classmethod
    def of(cls, blobs: Sequence[bytes]) -> "BlobSidecar":
        """Commit to blobs.

        Raises:
            TransactionRejected: one is no blob, or they are too many for a block.
        """
        _require_count(len(blobs))
        setup = _trusted_setup()
        try:
            commitments = tuple(ckzg.blob_to_kzg_commitment(blob, setup) for blob in blobs)
            pairs = zip(blobs, commitments, strict=True)
            proofs = tuple(ckzg.compute_blob_kzg_proof(blob, each, setup) for blob, each in pairs)
        except (ValueError, RuntimeError) as error:
            raise TransactionRejected(f"not a blob of {BLOB_BYTES} bytes in the field: {error}") from None
        return cls(tuple(blobs), commitments, proofs)

    @property
    def versioned_hashes(self) -> tuple[bytes, ...]:
        """What a transaction and its block keep of the blobs."""
        return tuple(VERSIONED_HASH_VERSION_KZG + sha256(each).digest()[1:] for each in self.commitments)

    def check(self, versioned_hashes: Sequence[bytes]) -> None:
        """Check that these are the blobs behind the hashes.

        Raises:
            TransactionRejected: they are not, or a proof does not hold.
        """
        _require_count(len(self.blobs))
        if not len(self.blobs) == len(self.commitments) == len(self.proofs):
            raise TransactionRejected(
                f"{len(self.blobs)} blobs, {len(self.commitments)} commitments, {len(self.proofs)} proofs"
            )
        if self.versioned_hashes != tuple(versioned_hashes):
            raise TransactionRejected("the blobs' versioned hashes are not those of the transaction")
        parts = (b"".join(each) for each in (self.blobs, self.commitments, self.proofs))
        try:
            holds = ckzg.verify_blob_kzg_proof_batch(*parts, _trusted_setup())
        except (ValueError, RuntimeError) as error:
            raise TransactionRejected(f"malformed blob, commitment or proof: {error}") from None
        if not holds:
            raise TransactionRejected("a KZG proof does not hold for its blob")


def _require_count(count: int) -> None:
    if not 0 < count <= MAX_BLOBS:
        raise TransactionRejected(f"a blob transaction has 1 to {MAX_BLOBS} blobs, not {count}")


@lru_cache(maxsize=1)
def _trusted_setup() -> Any:
    """The ceremony's result, as py-evm ships it; reading it takes seconds."""
    return ckzg.load_trusted_setup(TRUSTED_SETUP_PATH, 0)


def blob_base_fee(header: BlockHeaderAPI) -> int:
    """Wei per unit of blob gas in the block of ``header``."""
    fields: Any = header
    return int(
        fake_exponential(MIN_BLOB_BASE_FEE, fields.excess_blob_gas, BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE)
    )


def without_blobs(raw: bytes) -> bytes:
    """A raw transaction as a block holds it: a blob transaction in its network form loses its blobs.

    Raises:
        TransactionRejected: a blob transaction comes without blobs, or they do not belong to it.
    """
    if raw[:1] != bytes([BLOB_TYPE]):
        return raw
    try:
        wrapper = rlp.decode(raw[1:], strict=True)
    except RLPException as error:
        raise TransactionRejected(f"not a signed transaction: {error}") from None
    payload, sidecar = _parts(wrapper)
    sidecar.check(payload[_HASHES_AT])
    return raw[:1] + bytes(rlp.encode(payload))


def _parts(wrapper: Any) -> tuple[list[Any], BlobSidecar]:
    if isinstance(wrapper, list) and len(wrapper) == 5 and isinstance(wrapper[0], list):
        raise TransactionRejected("cell proofs (EIP-7594) come with Osaka; send one proof for each blob")
    shape = [isinstance(part, list) for part in wrapper] if isinstance(wrapper, list) else []
    if shape != [True] * 4:
        raise TransactionRejected(
            "a blob transaction is sent in its network form: [transaction, blobs, commitments, proofs]"
        )
    payload, *lists = wrapper
    if len(payload) <= _HASHES_AT or not isinstance(payload[_HASHES_AT], list):
        raise TransactionRejected("not a blob transaction")
    if any(not isinstance(item, bytes) for part in (*lists, payload[_HASHES_AT]) for item in part):
        raise TransactionRejected("blobs, commitments, proofs and hashes are byte strings")
    return payload, BlobSidecar(*(tuple(part) for part in lists))
