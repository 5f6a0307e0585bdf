"""What an enclave signs of a result (EIP-712), as ``contracts/verifiers/EnclaveVerifier.vy`` checks it."""

from dataclasses import astuple, dataclass
from typing import Any, Final

from eth_abi import encode
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_spec.bundle import recover_signer, sign_digest, typed_digest

STATEMENT_TYPEHASH: Final = keccak(
    text="Statement(bytes32 request_id,bytes32 model_id,bytes32 input_hash,bytes32 output_hash,bytes32 seed,"
    "uint64 signed_at)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One result, and the second at which the enclave signed it."""

    request_id: bytes
    model_id: bytes
    input_hash: bytes
    output_hash: bytes
    seed: bytes
    signed_at: int

    def words(self) -> tuple[Any, ...]:
        """The fields in order, as ``IEnclaveVerifier.verify`` takes them."""
        return astuple(self)

    def digest(self, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """What the enclave's key signs, for one contract on one chain."""
        struct = keccak(encode(["bytes32"] * 6 + ["uint64"], [STATEMENT_TYPEHASH, *self.words()]))
        return typed_digest(chain_id, verifying_contract, struct)

    def sign(self, key: PrivateKey, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """The signature of an enclave's key."""
        return sign_digest(key, self.digest(chain_id, verifying_contract))

    def signer(self, signature: bytes, chain_id: int, verifying_contract: ChecksumAddress) -> ChecksumAddress:
        """Address of the key that signed.

        Raises:
            SignatureError: the signature is malformed, malleable or of nobody.
        """
        return recover_signer(self.digest(chain_id, verifying_contract), signature)


def enclave_identity(attester: ChecksumAddress, measurement: bytes) -> bytes:
    """What a manifest pins as ``enclave_measurement``: whose word on keys counts, and for what enclave."""
    return keccak(encode(["address", "bytes32"], [attester, measurement]))
