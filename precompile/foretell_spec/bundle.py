"""Bundles: what an operator signs (EIP-712)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

from eth_abi import encode
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress
from eth_utils import ValidationError, keccak, to_checksum_address

from foretell_spec.errors import SignatureError, SpecError
from foretell_spec.request import NO_SEED, receipt_id
from foretell_spec.tensor import MAX_INPUTS, MAX_OUTPUTS, Tensor, require_quantised, tensor_hash

DOMAIN_NAME: Final = "Foretell"
DOMAIN_VERSION: Final = "1"
DOMAIN_TYPEHASH: Final = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
BUNDLE_TYPE: Final = (
    "Bundle(bytes32 request_id,bytes32 model_id,bytes32 input_hash,bytes32 output_hash,bytes32 seed,"
    "address operator)"
)
BUNDLE_TYPEHASH: Final = keccak(text=BUNDLE_TYPE)
BATCH_TYPEHASH: Final = keccak(text="Batch(Bundle[] bundles)" + BUNDLE_TYPE)
MAX_PROOF_BYTES: Final = 16384
SIGNATURE_BYTES: Final = 65


@lru_cache(maxsize=64)
def domain_separator(chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
    """EIP-712 domain of bundles for one contract (Settlement, or the precompile) on one chain."""
    words = ["bytes32", "bytes32", "bytes32", "uint256", "address"]
    names = [keccak(text=DOMAIN_NAME), keccak(text=DOMAIN_VERSION)]
    return keccak(encode(words, [DOMAIN_TYPEHASH, *names, chain_id, verifying_contract]))


@dataclass(frozen=True)
class Bundle:
    """One operator's answer to one request, with its evidence.

    ``inputs`` and ``outputs`` are quantised integers; only their hashes are signed. ``signature`` is
    ``r || s || v`` with ``v`` 27 or 28, empty before signing; ``proof`` is empty where there is none.
    """

    request_id: bytes
    model_id: bytes
    inputs: Tensor
    outputs: Tensor
    operator: ChecksumAddress
    seed: bytes = NO_SEED
    signature: bytes = b""
    proof: bytes = b""

    @cached_property
    def input_hash(self) -> bytes:
        """``tensor_hash`` of the inputs."""
        return tensor_hash(self.inputs)

    @cached_property
    def output_hash(self) -> bytes:
        """``tensor_hash`` of the outputs."""
        return tensor_hash(self.outputs)

    @cached_property
    def receipt_id(self) -> bytes:
        """Id of the receipt that this bundle supports."""
        return receipt_id(self.request_id, self.output_hash, self.operator)

    def digest(self, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """The EIP-712 digest that the operator's key signs."""
        return keccak(self.message(chain_id, verifying_contract))

    def message(self, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """What the digest is the hash of, for signers that hash by themselves."""
        struct = bundle_struct_hash(
            self.request_id, self.model_id, self.input_hash, self.output_hash, self.seed, self.operator
        )
        return typed_message(chain_id, verifying_contract, struct)

    def signed(self, key: PrivateKey, chain_id: int, verifying_contract: ChecksumAddress) -> "Bundle":
        """A copy that carries ``key``'s signature."""
        return replace(self, signature=sign_digest(key, self.digest(chain_id, verifying_contract)))

    def signer(self, chain_id: int, verifying_contract: ChecksumAddress) -> ChecksumAddress:
        """Address of the key that signed.

        Raises:
            SignatureError: the signature is malformed, malleable or of nobody.
        """
        return recover_signer(self.digest(chain_id, verifying_contract), self.signature)

    @cached_property
    def hash(self) -> bytes:
        """Commitment to the whole bundle, evidence included, as sidecars use it."""
        words = ["bytes32", "bytes32", "bytes32", "bytes32", "bytes32", "address", "bytes32", "bytes32"]
        values = [self.request_id, self.model_id, self.input_hash, self.output_hash, self.seed, self.operator]
        return keccak(encode(words, [*values, keccak(self.signature), keccak(self.proof)]))

    def to_json(self) -> dict[str, Any]:
        """JSON form: bytes as 0x-hex, integers as decimal strings."""
        return {
            "request_id": _hex(self.request_id),
            "model_id": _hex(self.model_id),
            "inputs": [str(q) for q in self.inputs],
            "outputs": [str(q) for q in self.outputs],
            "operator": self.operator,
            "seed": _hex(self.seed),
            "signature": _hex(self.signature),
            "proof": _hex(self.proof),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Bundle":
        """Read ``to_json``'s form from an untrusted source.

        Raises:
            SpecError: a field is missing, malformed or over its limit.
        """
        try:
            return cls(
                request_id=_bytes(value["request_id"], 32),
                model_id=_bytes(value["model_id"], 32),
                inputs=_tensor(value["inputs"], MAX_INPUTS),
                outputs=_tensor(value["outputs"], MAX_OUTPUTS),
                operator=to_checksum_address(_bytes(value["operator"], 20)),
                seed=_bytes(value["seed"], 32),
                signature=_bytes(value["signature"], SIGNATURE_BYTES),
                proof=_bytes(value["proof"], None),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpecError(f"not a bundle: {error!r}") from None


def bundle_digest(
    chain_id: int,
    verifying_contract: ChecksumAddress,
    request_id: bytes,
    model_id: bytes,
    input_hash: bytes,
    output_hash: bytes,
    seed: bytes,
    operator: ChecksumAddress,
) -> bytes:
    """EIP-712 digest that binds chain, contract, request, model, input, output, seed and operator."""
    struct = bundle_struct_hash(request_id, model_id, input_hash, output_hash, seed, operator)
    return typed_digest(chain_id, verifying_contract, struct)


def batch_digest(chain_id: int, verifying_contract: ChecksumAddress, struct_hashes: Sequence[bytes]) -> bytes:
    """EIP-712 digest of many bundles under one signature."""
    struct = keccak(BATCH_TYPEHASH + keccak(b"".join(struct_hashes)))
    return typed_digest(chain_id, verifying_contract, struct)


def bundle_struct_hash(
    request_id: bytes,
    model_id: bytes,
    input_hash: bytes,
    output_hash: bytes,
    seed: bytes,
    operator: ChecksumAddress,
) -> bytes:
    """EIP-712 struct hash of a bundle."""
    words = ["bytes32"] * 6 + ["address"]
    return keccak(
        encode(words, [BUNDLE_TYPEHASH, request_id, model_id, input_hash, output_hash, seed, operator])
    )


def typed_digest(chain_id: int, verifying_contract: ChecksumAddress, struct_hash: bytes) -> bytes:
    """EIP-712 digest of a struct that is meant for one contract on one chain."""
    return keccak(typed_message(chain_id, verifying_contract, struct_hash))


def typed_message(chain_id: int, verifying_contract: ChecksumAddress, struct_hash: bytes) -> bytes:
    """What ``typed_digest`` is the hash of, for signers that hash by themselves."""
    return b"\x19\x01" + domain_separator(chain_id, verifying_contract) + struct_hash


def sign_digest(key: PrivateKey, digest: bytes) -> bytes:
    """``r || s || v`` in low-s form, ``v`` 27 or 28."""
    v, r, s = key.sign_msg_hash(digest).vrs
    return int(r).to_bytes(32, "big") + int(s).to_bytes(32, "big") + bytes([27 + v])


def recover_signer(digest: bytes, signature: bytes) -> ChecksumAddress:
    """Address that signed ``digest``; accepts what ``contracts/lib/bundle.vy`` accepts and nothing else.

    Raises:
        SignatureError: wrong length, ``v`` not 27 or 28, high ``s`` (EIP-2), or no key recovers.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    r, s, v = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64]
    if v not in (27, 28):
        raise SignatureError("v is not 27 or 28")
    if s > SECPK1_N // 2:
        raise SignatureError("s is in the upper half of the order: malleable (EIP-2)")
    try:
        key = Signature(vrs=(v - 27, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError) as error:
        raise SignatureError(f"no key recovers: {error}") from None
    address: bytes = key.to_canonical_address()
    return to_checksum_address(address)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(value: str, size: int | None) -> bytes:
    data = bytes.fromhex(value.removeprefix("0x"))
    if size is not None and len(data) != size:
        raise ValueError(f"{size} bytes expected, not {len(data)}")
    if len(data) > MAX_PROOF_BYTES:
        raise ValueError(f"over {MAX_PROOF_BYTES} bytes")
    return data


def _tensor(values: Sequence[str], limit: int) -> Tensor:
    if isinstance(values, str) or len(values) > limit:
        raise ValueError(f"not a list of at most {limit} integers")
    return tuple(require_quantised(int(value)) for value in values)
