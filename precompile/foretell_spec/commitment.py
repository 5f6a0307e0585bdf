"""Commit and reveal between operators that answer one question: nobody can copy what it has not seen.

An operator first signs a commitment, a hash over its output, a salt and its own address. When enough have
committed, each reveals: the bundle, the salt, and a signature that says which commitment they open. A copied
commitment is worth nothing, because the address inside is not the copier's. A signed reveal that does not
hash to the commitment that it names speaks against its operator, and anybody can check that.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from eth_abi import encode
from eth_keys.datatypes import PrivateKey
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_spec.bundle import Bundle, domain_separator, recover_signer, sign_digest

HIDDEN_TYPEHASH: Final = keccak(
    text="Hidden(bytes32 request_id,bytes32 output_hash,bytes32 salt,address operator)"
)
COMMITMENT_TYPEHASH: Final = keccak(text="Commitment(bytes32 request_id,bytes32 hidden,address operator)")
REVEAL_TYPEHASH: Final = keccak(
    text="Reveal(bytes32 request_id,bytes32 hidden,bytes32 output_hash,bytes32 salt,address operator)"
)


def hide(request_id: bytes, output_hash: bytes, salt: bytes, operator: ChecksumAddress) -> bytes:
    """What a commitment shows of an output: nothing, to whoever does not know the 32 bytes of ``salt``."""
    words = ["bytes32"] * 4 + ["address"]
    return keccak(encode(words, [HIDDEN_TYPEHASH, request_id, output_hash, salt, operator]))


@dataclass(frozen=True, slots=True)
class Commitment:
    """An operator's word that it has one output for a request. ``signature`` is empty before signing."""

    request_id: bytes
    hidden: bytes
    operator: ChecksumAddress
    signature: bytes = b""

    def digest(self, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """The EIP-712 digest that the operator's key signs."""
        words = ["bytes32", "bytes32", "bytes32", "address"]
        values = [COMMITMENT_TYPEHASH, self.request_id, self.hidden, self.operator]
        return _digest(chain_id, verifying_contract, keccak(encode(words, values)))

    def signer(self, chain_id: int, verifying_contract: ChecksumAddress) -> ChecksumAddress:
        """Address of the key that signed.

        Raises:
            SignatureError: the signature is malformed, malleable or of nobody.
        """
        return recover_signer(self.digest(chain_id, verifying_contract), self.signature)


@dataclass(frozen=True)
class Reveal:
    """What opens a commitment: ``hidden`` names it, ``bundle`` and ``salt`` are what it hides."""

    hidden: bytes
    bundle: Bundle
    salt: bytes
    signature: bytes = b""

    @property
    def operator(self) -> ChecksumAddress:
        """Whose reveal it is."""
        return self.bundle.operator

    @cached_property
    def holds(self) -> bool:
        """Whether bundle and salt are what the named commitment hides."""
        bundle = self.bundle
        return self.hidden == hide(bundle.request_id, bundle.output_hash, self.salt, bundle.operator)

    def digest(self, chain_id: int, verifying_contract: ChecksumAddress) -> bytes:
        """The EIP-712 digest that the operator's key signs."""
        bundle = self.bundle
        values = [REVEAL_TYPEHASH, bundle.request_id, self.hidden, bundle.output_hash, self.salt]
        struct = keccak(encode(["bytes32"] * 5 + ["address"], [*values, bundle.operator]))
        return _digest(chain_id, verifying_contract, struct)

    def signer(self, chain_id: int, verifying_contract: ChecksumAddress) -> ChecksumAddress:
        """Address of the key that signed.

        Raises:
            SignatureError: the signature is malformed, malleable or of nobody.
        """
        return recover_signer(self.digest(chain_id, verifying_contract), self.signature)

    def to_json(self) -> dict[str, Any]:
        """JSON form: bytes as 0x-hex."""
        return {
            "hidden": "0x" + self.hidden.hex(),
            "salt": "0x" + self.salt.hex(),
            "signature": "0x" + self.signature.hex(),
            "bundle": self.bundle.to_json(),
        }


def seal(
    bundle: Bundle, salt: bytes, key: PrivateKey, chain_id: int, verifying_contract: ChecksumAddress
) -> tuple[Commitment, Reveal]:
    """Commitment to a signed bundle and the reveal that opens it, both signed by the operator's key.

    ``salt``: 32 fresh random bytes; a salt that others can guess shows them the output.
    """
    hidden = hide(bundle.request_id, bundle.output_hash, salt, bundle.operator)
    commitment = Commitment(bundle.request_id, hidden, bundle.operator)
    reveal = Reveal(hidden, bundle, salt)
    return (
        replace(commitment, signature=sign_digest(key, commitment.digest(chain_id, verifying_contract))),
        replace(reveal, signature=sign_digest(key, reveal.digest(chain_id, verifying_contract))),
    )


def _digest(chain_id: int, verifying_contract: ChecksumAddress, struct: bytes) -> bytes:
    return keccak(b"\x19\x01" + domain_separator(chain_id, verifying_contract) + struct)
