"""AWS Nitro attestation documents: who signed one, when, and what it measured.

A document is a COSE_Sign1 of ES384 over a CBOR map; its certificates lead from the enclave's key to a root
(https://docs.aws.amazon.com/enclaves/latest/user/verify-root.html). Everything is judged at a time that the
caller gives. Whatever does not follow AWS's form is refused: all keys are on P-384, certificates are signed
by SHA-384 and one chain in order, and no enclave runs in debug mode.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pydantic import BaseModel, ConfigDict, Field

from foretell_evm.opengradient import cbor

AWS_ROOT_SHA256: Final = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
"""Of the certificate of AWS's root, as DER; every document carries it."""

MAX_CERTIFICATES: Final = 8
MAX_AGE_MS: Final = 300_000
MAX_AHEAD_MS: Final = 60_000
EARLIEST_MS: Final = 1_738_281_600_000

_ES384: Final = bytes.fromhex("a1013822")
"""The protected header {alg: ES384}."""
_HALF: Final = 48
"""Bytes of a SHA-384, and of each half of a signature on P-384."""
_HANDLED: Final = (x509.BasicConstraints.oid, x509.KeyUsage.oid)


class InvalidAttestation(Exception):
    """The document proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a document that holds says. ``pcrs`` by number; ``timestamp`` in milliseconds since 1970."""

    pcrs: Mapping[int, bytes]
    timestamp: int
    user_data: bytes


class _Payload(BaseModel):
    """What is read of a document; AWS may add to it."""

    model_config = ConfigDict(strict=True)

    digest: Literal["SHA384"]
    timestamp: int
    pcrs: dict[int, Annotated[bytes, Field(min_length=_HALF, max_length=_HALF)]]
    certificate: bytes
    cabundle: Annotated[list[bytes], Field(min_length=1, max_length=MAX_CERTIFICATES - 1)]
    user_data: bytes | None = None


def verify_attestation(document: bytes, root: bytes, now: int) -> Attestation:
    """Check a document at the time ``now`` (Unix seconds).

    Args:
        document: the COSE_Sign1, without a tag.
        root: the root's certificate as PEM or DER; empty for AWS's.
        now: certificates must be valid then, and the document recent.

    Raises:
        InvalidAttestation: it does not hold.
    """
    try:
        protected, unprotected, payload, signature = cbor.decode(document)
        _require(protected == _ES384 and unprotected == {}, "another header than ES384 alone")
        fields = _Payload.model_validate(cbor.decode(payload))
        key = _check_path(_path(fields, root), datetime.fromtimestamp(now, UTC))
        _check_signature(key, protected, payload, signature)
        measured = [fields.pcrs[index] for index in range(3)]
        _require(any(map(any, measured)), "the enclave runs in debug mode, which measures nothing")
        _check_time(fields.timestamp, now)
    except InvalidAttestation:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of hostile bytes, they prove nothing
        raise InvalidAttestation(f"{type(error).__name__}: {error}") from None
    return Attestation(fields.pcrs, fields.timestamp, fields.user_data or b"")


def check_bindings(attestation: Attestation, tls_certificate: bytes, signing_key: bytes) -> None:
    """Whether the enclave vouches for a TLS certificate and a signing key (DER), as Nitriding writes it.

    Its user data are the SHA-256 of each, in this order, behind two bytes of prefix.

    Raises:
        InvalidAttestation: it does not.
    """
    data = attestation.user_data
    for what, place in ((tls_certificate, data[2:34]), (signing_key, data[36:])):
        _require(bool(what) and hashlib.sha256(what).digest() == place, "a key that is not the enclave's")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InvalidAttestation(otherwise)


def _path(fields: _Payload, root: bytes) -> list[x509.Certificate]:
    """From the root to the enclave's certificate."""
    _require(hashlib.sha256(fields.cabundle[0]).digest() == _root_digest(root), "another root")
    return [x509.load_der_x509_certificate(each) for each in (*fields.cabundle, fields.certificate)]


def _root_digest(root: bytes) -> bytes:
    if not root:
        return AWS_ROOT_SHA256
    if root.lstrip().startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(root).fingerprint(hashes.SHA256())
    return hashlib.sha256(root).digest()


def _check_path(path: Sequence[x509.Certificate], now: datetime) -> ec.EllipticCurvePublicKey:
    """The enclave's key, if every certificate holds."""
    for index, certificate in enumerate(path):
        _key(certificate)
        valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        _require(valid, "a certificate that has expired, or is not yet valid")
        digest = certificate.signature_hash_algorithm
        _require(isinstance(digest, hashes.SHA384), "a certificate that is not signed by SHA-384")
        unknown = [each for each in certificate.extensions if each.critical and each.oid not in _HANDLED]
        _require(not unknown, "a critical extension that nobody here knows")
        certificate.verify_directly_issued_by(path[max(index - 1, 0)])
    for index, issuer in enumerate(path[:-1]):
        _check_issuer(issuer, followers=len(path) - 2 - index)
    usage = path[-1].extensions.get_extension_for_class(x509.KeyUsage).value
    _require(usage.digital_signature, "an enclave's certificate that may not sign")
    return _key(path[-1])


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise InvalidAttestation("a key that is not on P-384")
    return key


def _check_issuer(issuer: x509.Certificate, followers: int) -> None:
    """``followers`` is how many certificates of issuers come after this one."""
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    depth = constraints.path_length
    _require(constraints.ca and (depth is None or depth >= followers), "an issuer that may not issue")
    usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    _require(usage.key_cert_sign, "an issuer that may not sign certificates")


def _check_signature(
    key: ec.EllipticCurvePublicKey, protected: bytes, payload: bytes, signature: bytes
) -> None:
    _require(len(signature) == 2 * _HALF, "a signature of another length")
    r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    signed = cbor.encode_array(["Signature1", protected, b"", payload])
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))


def _check_time(timestamp: int, now: int) -> None:
    age = now * 1_000 - timestamp
    _require(timestamp >= EARLIEST_MS and -MAX_AHEAD_MS <= age <= MAX_AGE_MS, "a document of another time")
