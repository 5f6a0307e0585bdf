"""0x900: signatures and attestations of enclaves, as OpenGradient's contracts check them. Reads no state.

What does not hold is answered with ``false``; only calldata that is no call of these functions reverts.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from eth.abc import ComputationAPI
from eth_abi import encode
from eth_utils import keccak

from foretell_evm.frame import Precompile, Refusal, precompile
from foretell_evm.opengradient import abi
from foretell_evm.opengradient.addresses import TEE_VERIFIER
from foretell_evm.opengradient.attestation import InvalidAttestation, check_bindings, verify_attestation
from foretell_evm.opengradient.canonical import decode_canonical
from foretell_evm.opengradient.gas import tee_gas
from foretell_spec.reasons import Reason

MAX_ATTESTATION: Final = 16 * 1024
MAX_CERTIFICATE: Final = 8 * 1024
MAX_KEY: Final = 8 * 1024
MAX_SIGNATURE: Final = 1024
MAX_CALLDATA: Final = 48 * 1024

MIN_RSA_BITS, MAX_RSA_BITS = 2_048, 8_192
MAX_RSA_EXPONENT: Final = 2**31 - 1
"""A greater public exponent makes verifying as slow as signing."""
_SALT: Final = 32

NOTHING: Final = (False, bytes(32))


def tee_precompile() -> Precompile:
    """0x900, the same on every chain."""
    functions = {abi.VERIFY_ATTESTATION: _verify_attestation, abi.VERIFY_RSA_PSS: _verify_rsa_pss}
    return precompile(TEE_VERIFIER, "OpenGradient TEE verifier", tee_gas, functions)


def _verify_attestation(computation: ComputationAPI, data: bytes) -> bytes:
    document, key, tls, root = decode_canonical(["bytes"] * 4, _bounded(data)[4:])
    answer = attested(document, key, tls, root, computation.state.timestamp)
    return encode(["bool", "bytes32"], answer)


def _verify_rsa_pss(computation: ComputationAPI, data: bytes) -> bytes:
    del computation
    key, message_hash, signature = decode_canonical(["bytes", "bytes32", "bytes"], _bounded(data)[4:])
    return encode(["bool"], [is_rsa_pss(key, message_hash, signature)])


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_CALLDATA:
        raise Refusal(Reason.BAD_CALLDATA)
    return data


def attested(document: bytes, key: bytes, tls: bytes, root: bytes, now: int) -> tuple[bool, bytes]:
    """Whether an enclave attests to a signing key and a TLS certificate at ``now`` (Unix seconds), and the
    keccak256 of its PCRs 0 to 2.
    """
    sizes = ((document, MAX_ATTESTATION), (key, MAX_KEY), (tls, MAX_CERTIFICATE), (root, MAX_CERTIFICATE))
    if any(len(value) > size for value, size in sizes):
        return NOTHING
    try:
        attestation = verify_attestation(document, root, now)
        check_bindings(attestation, tls, key)
    except InvalidAttestation:
        return NOTHING
    return True, keccak(b"".join(attestation.pcrs[index] for index in range(3)))


def is_rsa_pss(key: bytes, message_hash: bytes, signature: bytes) -> bool:
    """Whether a signature is RSA-PSS by SHA-256, with 32 bytes of salt, over SHA-256 of ``message_hash``."""
    public = _rsa_key(key)
    if public is None or len(signature) > MAX_SIGNATURE:
        return False
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=_SALT)
    try:
        public.verify(signature, message_hash, scheme, hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _rsa_key(der: bytes) -> rsa.RSAPublicKey | None:
    """An RSA key from the one DER form of its SubjectPublicKeyInfo, of a size that is safe and cheap."""
    if len(der) > MAX_KEY:
        return None
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    fits = MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS and key.public_numbers().e <= MAX_RSA_EXPONENT
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key if fits and key.public_bytes(serialization.Encoding.DER, form) == der else None
