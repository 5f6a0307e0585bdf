"""EZKL's reusable verifier on a chain: for a circuit whose own verifier would be too large (EIP-170).

Three contracts serve such a circuit: the reusable verifier, a store that returns the circuit's key, and
``ReusableCircuit``, which looks like a verifier of the circuit's own. The last one's code, which a manifest
pins, holds the code hash of the first and the digest of the key; so it does not depend on any address.
"""

from collections.abc import Sequence
from typing import Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_contracts import load

CONTRACT: Final = "Halo2VerifierReusable"
MAX_KEY_WORDS: Final = 765
"""What ``ReusableCircuit`` reads, and a store's code holds."""

_REGISTER: Final = keccak(text="registerVka(bytes32[])")[:4]

# Returns the code behind these eleven bytes.
_STORE: Final = bytes.fromhex("600b380380600b5f395ff3")
# Deploys what follows these ten bytes; its length goes between the two halves.
_INIT: Final = (bytes.fromhex("61"), bytes.fromhex("80600a5f395ff3"))


def registration(key: Sequence[bytes]) -> bytes:
    """Calldata that registers a key at the reusable verifier. Anybody may: it proves nothing by itself."""
    return _REGISTER + encode(["bytes32[]"], [key])


def store_creation(key: Sequence[bytes]) -> bytes:
    """Creation code of the contract that returns the key."""
    runtime = _STORE + encode(["bytes32[]"], [key])
    return _INIT[0] + len(runtime).to_bytes(2, "big") + _INIT[1] + runtime


def circuit_creation(
    verifier_code_hash: bytes, key: Sequence[bytes], verifier: ChecksumAddress, store: ChecksumAddress
) -> bytes:
    """Creation code of the contract that a manifest pins."""
    arguments = [verifier_code_hash, _digest(key), verifier, store]
    return load("ReusableCircuit").bytecode + encode(["bytes32", "bytes32", "address", "address"], arguments)


def circuit_code_hash(verifier_code_hash: bytes, key: Sequence[bytes]) -> bytes:
    """What ``EXTCODEHASH`` gives for that contract: its immutables stand behind its code."""
    return keccak(load("ReusableCircuit").runtime + verifier_code_hash + _digest(key))


def _digest(key: Sequence[bytes]) -> bytes:
    return keccak(b"".join(key))
