"""Attestation documents in AWS's form, by a certificate authority of the tests' own."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

NOW = 4_000_000_000
"""Later than the clock of any machine that runs this: blocks can be made then."""
TLS = b"a TLS certificate"
PCRS = {index: bytes([index + 1]) * 48 for index in range(16)}
ES384 = cbor2.dumps({1: -35})


def name(text: str) -> x509.Name:
    """A distinguished name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(**changes: bool) -> x509.KeyUsage:
    """Nothing but what is named."""
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{**dict.fromkeys(names, False), **changes})


@dataclass
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def issue(
    subject: str,
    issuer: Issued | None = None,
    *,
    ca: bool = True,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    curve: ec.EllipticCurve | None = None,
    key: Any = None,
    days: tuple[int, int] = (-1, 1),
    extra: x509.ExtensionType | None = None,
    issuer_name: str | None = None,
    digest: hashes.HashAlgorithm | None = None,
) -> Issued:
    """A certificate that is right unless an argument says otherwise; self-signed without an issuer."""
    key = key or ec.generate_private_key(curve or ec.SECP384R1())
    moment = datetime.fromtimestamp(NOW, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(
            name(issuer_name) if issuer_name else issuer.certificate.subject if issuer else name(subject)
        )
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment + timedelta(days=days[0]))
        .not_valid_after(moment + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        .add_extension(
            usage or (key_usage(key_cert_sign=True) if ca else key_usage(digital_signature=True)),
            critical=True,
        )
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return Issued(builder.sign(issuer.key if issuer else key, digest or hashes.SHA384()), key)


@lru_cache(maxsize=1)
def authority() -> tuple[Issued, ...]:
    """Root, intermediate, enclave."""
    root = issue("root")
    middle = issue("middle", root, path_length=0)
    return root, middle, issue("enclave", middle, ca=False)


@lru_cache(maxsize=4)
def signing_key(bits: int = 2_048, exponent: int = 65_537) -> rsa.RSAPrivateKey:
    """An RSA key."""
    return rsa.generate_private_key(exponent, bits)


def spki(key: Any) -> bytes:
    """A public key as DER."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.DER, form))


def rsa_pss(key: rsa.RSAPrivateKey, message: bytes, salt: int = 32) -> bytes:
    """A signature as OpenGradient's enclaves make it."""
    return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())


def user_data(tls: bytes = TLS, key: bytes | None = None) -> bytes:
    """Nitriding's two multihashes."""
    bound = spki(signing_key()) if key is None else key
    return b"".join(b"\x12\x20" + hashlib.sha256(each).digest() for each in (tls, bound))


@dataclass
class Document:
    """A document that holds at ``NOW``, unless a field is changed."""

    fields: dict[str, Any] = field(default_factory=dict)
    chain: tuple[Issued, ...] = field(default_factory=authority)
    protected: bytes = ES384
    unprotected: Any = field(default_factory=dict)
    signer: Any = None

    def encode(self) -> bytes:
        """The COSE_Sign1."""
        *issuers, leaf = self.chain
        given = {
            "module_id": "i-0-enc0",
            "digest": "SHA384",
            "timestamp": NOW * 1_000,
            "pcrs": PCRS,
            "certificate": leaf.der,
            "cabundle": [each.der for each in issuers],
            "public_key": None,
            "user_data": user_data(),
            "nonce": None,
            **self.fields,
        }
        payload = cbor2.dumps({key: value for key, value in given.items() if value is not ...})
        signed = cbor2.dumps(["Signature1", self.protected, b"", payload])
        key = self.signer or leaf.key
        halves = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA384())))
        signature = b"".join(half.to_bytes(48, "big") for half in halves)
        return cbor2.dumps([self.protected, self.unprotected, payload, signature])
