"""0x900: attestation documents and RSA-PSS signatures, and whatever looks like them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from eth_abi import decode, encode
from eth_utils import keccak

from foretell_evm.opengradient import abi, cbor
from foretell_evm.opengradient.attestation import InvalidAttestation, verify_attestation
from foretell_evm.opengradient.gas import VERIFY_ATTESTATION, VERIFY_RSA_PSS, tee_gas
from foretell_evm.opengradient.tee import NOTHING, attested, is_rsa_pss
from foretell_spec.gas import UNKNOWN_CALL
from foretell_spec.reasons import Reason
from tests.kit.fork import Fork
from tests.kit.nitro import (
    NOW,
    PCRS,
    TLS,
    Document,
    authority,
    issue,
    key_usage,
    rsa_pss,
    signing_key,
    spki,
    user_data,
)
from tests.kit.opengradient import TEE_VERIFIER, opengradient_fork, refusal

VECTORS = os.environ.get("FORETELL_NITRO_VECTORS")
"""Folder with genuine documents: their licences keep them out of this repository."""
MESSAGE = keccak(text="a message")
PCR_HASH = keccak(PCRS[0] + PCRS[1] + PCRS[2])


def root() -> bytes:
    return authority()[0].pem


def check(document: bytes, now: int = NOW) -> tuple[bool, bytes]:
    return attested(document, spki(signing_key()), TLS, root(), now)


def test_selectors__published__match() -> None:
    assert abi.VERIFY_ATTESTATION.hex() == "f7cf40d3"
    assert abi.VERIFY_RSA_PSS.hex() == "7e26679a"


def test_attested__document_that_holds__gives_the_measurements() -> None:
    assert check(Document().encode()) == (True, PCR_HASH)


def test_attested__root_as_der__is_the_same() -> None:
    key = spki(signing_key())
    assert attested(Document().encode(), key, TLS, authority()[0].der, NOW) == (True, PCR_HASH)


def test_attested__no_root__means_aws_s() -> None:
    assert attested(Document().encode(), spki(signing_key()), TLS, b"", NOW) == NOTHING


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(0, True), (300, True), (301, False), (-60, True), (-61, False), (86_400 * 30, False)],
)
def test_attested__at_another_time__is_recent_or_nothing(seconds: int, holds: bool) -> None:
    assert check(Document().encode(), NOW + seconds)[0] is holds


def test_attested__before_there_were_such__is_nothing() -> None:
    early = 1_738_281_599
    root_of_then = issue("root", days=(-30_000, 1))
    chain = (root_of_then, issue("enclave", root_of_then, ca=False, days=(-30_000, 1)))
    document = Document({"timestamp": early * 1_000}, chain).encode()
    with pytest.raises(InvalidAttestation, match="another time"):
        verify_attestation(document, root_of_then.pem, early)
    later = Document({"timestamp": (early + 1) * 1_000}, chain).encode()
    assert verify_attestation(later, root_of_then.pem, early + 1).pcrs == PCRS


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "SHA256"},
        {"digest": ...},
        {"pcrs": {index: bytes(48) for index in range(3)} | {4: b"\x01" * 48}},
        {"pcrs": {0: PCRS[0], 1: PCRS[1]}},
        {"pcrs": {**PCRS, 2: b"\x01" * 32}},
        {"pcrs": {**PCRS, 2: "text"}},
        {"pcrs": {**PCRS, "x": PCRS[0]}},
        {"pcrs": []},
        {"timestamp": str(NOW)},
        {"timestamp": -1},
        {"timestamp": ...},
        {"certificate": b""},
        {"certificate": b"\x30\x82"},
        {"certificate": None},
        {"cabundle": []},
        {"cabundle": [b""]},
        {"cabundle": [5]},
        {"cabundle": {}},
        {"user_data": None},
        {"user_data": b""},
        {"user_data": user_data() + b"\0"},
        {"user_data": user_data(tls=b"another")},
        {"user_data": user_data(key=b"another")},
        {"user_data": 5},
    ],
)
def test_attested__field_that_is_wrong__is_nothing(fields: dict[str, Any]) -> None:
    assert check(Document(fields).encode()) == NOTHING


@pytest.mark.parametrize(
    "change",
    [
        {"protected": cbor2.dumps({1: -7})},
        {"protected": cbor2.dumps({})},
        {"unprotected": {4: b"key"}},
        {"unprotected": []},
        {"signer": ec.generate_private_key(ec.SECP384R1())},
    ],
)
def test_attested__envelope_that_is_wrong__is_nothing(change: dict[str, Any]) -> None:
    assert check(Document(**change).encode()) == NOTHING


def chain_with(**change: Any) -> tuple[Any, ...]:
    """A chain whose intermediate is changed."""
    top = authority()[0]
    middle = issue("middle", top, **change)
    return top, middle, issue("enclave", middle, ca=False)


def leaf_with(**change: Any) -> tuple[Any, ...]:
    top, middle, _ = authority()
    return top, middle, issue("enclave", middle, **{"ca": False, **change})


@pytest.mark.parametrize(
    "chain",
    [
        lambda: chain_with(ca=False, usage=key_usage(key_cert_sign=True)),
        lambda: chain_with(usage=key_usage(digital_signature=True)),
        lambda: chain_with(days=(-2, -1)),
        lambda: chain_with(days=(1, 2)),
        lambda: chain_with(issuer_name="somebody"),
        lambda: chain_with(curve=ec.SECP256R1()),
        lambda: chain_with(digest=hashes.SHA256()),
        lambda: chain_with(extra=x509.NameConstraints([x509.DNSName("x")], None)),
        lambda: chain_with(key=signing_key()),
        lambda: leaf_with(usage=key_usage(key_encipherment=True)),
        lambda: leaf_with(days=(-2, -1)),
        lambda: leaf_with(extra=x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING])),
        lambda: (*authority()[:1], *authority()[2:]),
        lambda: authority()[1:],
        lambda: (issue("root"), *authority()[1:]),
        lambda: (*authority()[:2], *authority()[1:]),
    ],
)
def test_attested__chain_that_does_not_hold__is_nothing(chain: Any) -> None:
    assert check(Document(chain=chain()).encode()) == NOTHING


@pytest.mark.parametrize(("between", "holds"), [(0, False), (1, True)])
def test_attested__length_of_the_path__is_what_the_issuer_admits(between: int, holds: bool) -> None:
    top = authority()[0]
    first = issue("first", top, path_length=between)
    second = issue("second", first)
    assert (
        check(Document(chain=(top, first, second, issue("enclave", second, ca=False))).encode())[0] is holds
    )


def test_attested__more_certificates_than_any_document__is_nothing() -> None:
    chain = [authority()[0]]
    for index in range(7):
        chain.append(issue(f"issuer {index}", chain[-1]))
    full = (*chain[:7], issue("enclave", chain[6], ca=False))
    assert check(Document(chain=full).encode())[0] is True
    assert check(Document(chain=(*chain, issue("enclave", chain[7], ca=False))).encode()) == NOTHING


def test_attested__one_bit_changed_anywhere__is_nothing() -> None:
    document = bytearray(Document().encode())
    for at in range(0, len(document), 37):
        document[at] ^= 1
        assert check(bytes(document)) == NOTHING, at
        document[at] ^= 1


def test_attested__cut_or_longer__is_nothing() -> None:
    document = Document().encode()
    for end in (*range(0, len(document), 101), len(document) - 1):
        assert check(document[:end]) == NOTHING
    assert check(document + b"\0") == NOTHING
    assert check(b"\x81" * 16_000) == NOTHING
    assert check(cbor2.dumps(cbor2.CBORTag(18, cbor2.loads(document)))) == NOTHING


def test_attested__signature_with_a_zero_between_its_halves__is_nothing() -> None:
    protected, unprotected, payload, signature = cbor2.loads(Document().encode())
    longer = signature[:48] + b"\0" + signature[48:]
    assert check(cbor2.dumps([protected, unprotected, payload, longer])) == NOTHING


def values_of_sizes(document: int, key: int, tls: int, root_size: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Values that hold, each as long as it is said."""
    given = (bytes(key), bytes(tls))
    fields: dict[str, Any] = {"user_data": user_data(given[1], given[0]), "nonce": b""}
    fields["nonce"] = bytes(document - len(Document(fields).encode()) - 6)
    # The lengths of payload and nonce take more bytes when they are long.
    while len(Document(fields).encode()) != document:
        fields["nonce"] += bytes(document - len(Document(fields).encode()))
    return Document(fields).encode(), *given, root().ljust(root_size, b"\n")


@pytest.mark.parametrize("longer", [None, *range(4)])
def test_attested__value_over_its_size__is_nothing(longer: int | None) -> None:
    sizes = [16 * 1024, 8 * 1024, 8 * 1024, 8 * 1024]
    if longer is not None:
        sizes[longer] += 1
    assert attested(*values_of_sizes(*sizes), NOW)[0] is (longer is None)


# -- RSA-PSS


@pytest.mark.parametrize("bits", [2_048, 3_072, 4_096])
def test_rsa_pss__of_the_key__holds(bits: int) -> None:
    key = signing_key(bits)
    assert is_rsa_pss(spki(key), MESSAGE, rsa_pss(key, MESSAGE))


def test_rsa_pss__anything_changed__does_not_hold() -> None:
    key, signature = signing_key(), rsa_pss(signing_key(), MESSAGE)
    assert not is_rsa_pss(spki(key), keccak(MESSAGE), signature)
    assert not is_rsa_pss(spki(signing_key(3_072)), MESSAGE, signature)
    assert not is_rsa_pss(spki(key), MESSAGE, rsa_pss(key, MESSAGE, salt=20))
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(256), b"\xff" * 256, bytes(1_025)):
        assert not is_rsa_pss(spki(key), MESSAGE, wrong)


def test_rsa_pss__key_of_another_form_or_size__does_not_hold() -> None:
    key = signing_key()
    pkcs1 = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    other = ec.generate_private_key(ec.SECP384R1())
    for der in (b"", b"\x30", bytes(9_000), pkcs1, spki(key) + b"\0", spki(other)):
        assert not is_rsa_pss(der, MESSAGE, rsa_pss(key, MESSAGE))
    short = rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - it is to be refused
    assert not is_rsa_pss(spki(short), MESSAGE, rsa_pss(short, MESSAGE))


def public_key(modulus: int, exponent: int) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    numbers = rsa.RSAPublicNumbers(exponent, modulus)
    return numbers.public_key().public_bytes(serialization.Encoding.DER, form)


def test_rsa_pss__exponent_that_makes_it_slow__does_not_hold() -> None:
    private = signing_key().private_numbers()
    modulus, exponent = private.public_numbers.n, private.public_numbers.e
    # With the exponents swapped, this is a signature that holds.
    padded = pow(int.from_bytes(rsa_pss(signing_key(), MESSAGE), "big"), exponent, modulus)
    signature = pow(padded, exponent, modulus).to_bytes(256, "big")
    assert not is_rsa_pss(public_key(modulus, private.d), MESSAGE, signature)


def test_rsa_pss__greatest_key__is_answered() -> None:
    for bits in (8_192, 8_193, 16_384):
        assert not is_rsa_pss(public_key((1 << bits) - 1, 65_537), MESSAGE, bytes(1_024))


# -- the precompile


@pytest.fixture(scope="module")
def og() -> Iterator[Fork]:
    made = opengradient_fork()
    made.chain.set_next_timestamp(NOW + 5)
    made.chain.mine()
    yield made
    made.close()


def attestation_data(*values: bytes) -> bytes:
    return abi.VERIFY_ATTESTATION + encode(["bytes"] * 4, values)


def test_verify_attestation__at_the_block_s_time__answers(og: Fork) -> None:
    data = attestation_data(Document().encode(), spki(signing_key()), TLS, root())
    answer = og.w3.eth.call({"to": TEE_VERIFIER, "data": data})
    assert decode(["bool", "bytes32"], answer) == (True, PCR_HASH)
    wrong = attestation_data(Document().encode(), spki(signing_key()), b"another", root())
    assert decode(["bool", "bytes32"], og.w3.eth.call({"to": TEE_VERIFIER, "data": wrong})) == NOTHING
    empty = attestation_data(b"", b"", b"", b"")
    assert decode(["bool", "bytes32"], og.w3.eth.call({"to": TEE_VERIFIER, "data": empty})) == NOTHING


def test_verify_rsa_pss__both_ways__answers(og: Fork) -> None:
    signature = rsa_pss(signing_key(), MESSAGE)
    for message, holds in ((MESSAGE, True), (bytes(32), False)):
        data = abi.VERIFY_RSA_PSS + encode(
            ["bytes", "bytes32", "bytes"], [spki(signing_key()), message, signature]
        )
        assert decode(["bool"], og.w3.eth.call({"to": TEE_VERIFIER, "data": data})) == (holds,)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.UNKNOWN_FUNCTION),
        (b"\x15\xc9\xbd\xb4", Reason.UNKNOWN_FUNCTION),
        (abi.VERIFY_ATTESTATION, Reason.BAD_CALLDATA),
        (attestation_data(b"", b"", b"", b"")[:-1], Reason.BAD_CALLDATA),
        (abi.VERIFY_RSA_PSS + b"\xff" * 96, Reason.BAD_CALLDATA),
        (attestation_data(b"", b"", b"", b"") + bytes(48 * 1024), Reason.BAD_CALLDATA),
    ],
    ids=["empty", "registry's function", "no arguments", "cut", "hostile offsets", "over the size"],
)
def test_tee__what_is_no_call__reverts(og: Fork, data: bytes, reason: Reason) -> None:
    assert refusal(og, TEE_VERIFIER, data) == reason


def test_gas__published__is_charged() -> None:
    assert tee_gas(abi.VERIFY_ATTESTATION, True) == VERIFY_ATTESTATION == 500_000
    assert tee_gas(abi.VERIFY_RSA_PSS + bytes(999), False) == VERIFY_RSA_PSS == 20_000
    assert tee_gas(b"", False) == UNKNOWN_CALL


# -- genuine documents


def vector(file: str) -> bytes:
    if VECTORS is None:
        pytest.skip("FORETELL_NITRO_VECTORS names no folder with genuine attestation documents")
    return (Path(VECTORS) / file).read_bytes()


def test_genuine_document__of_an_enclave_of_opengradient__holds_at_its_time() -> None:
    document, made = vector("opengradient_attestation_doc.bin"), 1_770_918_963
    for given in (b"", vector("aws_nitro_root_g1.pem")):
        attestation = verify_attestation(document, given, made)
        assert attestation.timestamp == 1_770_918_962_724
        assert attestation.user_data[:2] == b"\x12\x20"
    with pytest.raises(InvalidAttestation, match="another time"):
        verify_attestation(document, b"", made + 301)
    with pytest.raises(InvalidAttestation, match="another root"):
        verify_attestation(document, root(), made)


def test_genuine_document__of_debug_mode__is_refused() -> None:
    with pytest.raises(InvalidAttestation, match="debug mode"):
        verify_attestation(vector("evervault_debug-mode-attestation-doc-bytes"), b"", 1_665_582_606)


# -- CBOR


@pytest.mark.parametrize(
    "value",
    [
        *(0, 23, 24, 255, 256, 65_536, 2**32, 2**64 - 1, -1, -25, -(2**64)),
        *(b"", b"x" * 300, "é", None, [], [1, [2, [3]]], {}, {1: b"a", "b": None}),
    ],
)
def test_cbor__what_documents_use__is_read(value: Any) -> None:
    assert cbor.decode(cbor2.dumps(value)) == value


@pytest.mark.parametrize("data", ["9fff", "9f01ff", "bfff", "bf6161f6ff"])
def test_cbor__open_lengths_of_containers__are_read(data: str) -> None:
    assert cbor.decode(bytes.fromhex(data)) == cbor2.loads(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data",
    [
        "", "00 00", "18", "1817", "190017", "1a00000017", "1b0000000000000017", "1c", "1f", "3f", "5f",
        "7fff", "41", "61ff", "81", "9f", "a1", "a101", "bf01ff", "a2010101f6", "a180f6", "c000", "d81805",
        "f4", "f5", "f7", "f90000", "fb0000000000000000", "ff", "9bffffffffffffffff", "8181818100",
    ],
)  # fmt: skip
def test_cbor__anything_else__is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        cbor.decode(bytes.fromhex(data))


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_cbor__encoded__is_as_others_encode(size: int) -> None:
    items = ["Signature1", b"x" * size]
    assert cbor.encode_array(items) == cbor2.dumps(items)
