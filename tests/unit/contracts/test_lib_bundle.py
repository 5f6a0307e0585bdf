"""lib/bundle against the shared vectors."""

from typing import Any

import pytest
from eth_keys.constants import SECPK1_N

from foretell_spec.bundle import SIGNATURE_BYTES, batch_digest, sign_digest
from tests.kit.chain import CHAIN_ID, Contract, RevertedError, reverts
from tests.kit.vectors import cases, raw
from tests.kit.world import World, key_of

DIGEST = b"\7" * 32


@pytest.fixture(scope="module")
def bundle(deployed_world: World) -> Contract:
    return deployed_world.deploy("mocks/BundleHarness.vy")


@pytest.mark.parametrize("vector", cases("bundle", "bundle"))
def test_digest__vector__gives_the_expected(bundle: Contract, vector: dict[str, Any]) -> None:
    if vector["chain_id"] != CHAIN_ID:
        pytest.skip("made for another chain")
    names = ("request_id", "model_id", "input_hash", "output_hash", "seed")
    digest = bundle.digest(
        vector["verifying_contract"], *(raw(vector[name]) for name in names), vector["operator"]
    )
    assert digest == raw(vector["digest"])


@pytest.mark.parametrize("vector", cases("settlement", "batch"))
def test_batch_digest__vector__gives_the_expected(bundle: Contract, vector: dict[str, Any]) -> None:
    hashes = [raw(each) for each in vector["struct_hashes"]]
    assert bundle.batch_digest(vector["verifying_contract"], hashes) == raw(vector["digest"])


def test_batch_digest__largest__is_that_of_the_specification(bundle: Contract) -> None:
    hashes = [bytes([index]) * 32 for index in range(100)]
    expected = batch_digest(CHAIN_ID, bundle.address, hashes)
    assert bundle.batch_digest(bundle.address, hashes) == expected


@pytest.mark.parametrize("vector", cases("bundle", "bundle"))
def test_recover__vector__gives_the_signer(bundle: Contract, vector: dict[str, Any]) -> None:
    assert bundle.recover(raw(vector["digest"]), raw(vector["signature"])) == vector["signer"]


@pytest.mark.parametrize("vector", cases("bundle", "recover_fail"))
def test_recover__bad_vector__reverts(bundle: Contract, vector: dict[str, Any]) -> None:
    with pytest.raises(RevertedError, match="bundle: "):
        bundle.recover(raw(vector["digest"]), raw(vector["signature"]))


@pytest.mark.parametrize("size", [0, 64])
def test_recover__short_signature__reverts(bundle: Contract, size: int) -> None:
    with reverts("bundle: signature is not 65 bytes"):
        bundle.recover(DIGEST, bytes(size))


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_recover__v_not_27_or_28__reverts(bundle: Contract, v: int) -> None:
    signature = sign_digest(key_of("anna"), DIGEST)[: SIGNATURE_BYTES - 1] + bytes([v])
    with reverts("bundle: bad signature"):
        bundle.recover(DIGEST, signature)


@pytest.mark.parametrize(("s", "reason"), [(SECPK1_N // 2 + 1, "bundle: signature is malleable")])
def test_recover__high_s__reverts(bundle: Contract, s: int, reason: str) -> None:
    signature = sign_digest(key_of("anna"), DIGEST)
    with reverts(reason):
        bundle.recover(DIGEST, signature[:32] + s.to_bytes(32, "big") + signature[64:])


def test_recover__largest_low_s__is_not_malleable(bundle: Contract) -> None:
    signature = sign_digest(key_of("anna"), DIGEST)
    changed = signature[:32] + (SECPK1_N // 2).to_bytes(32, "big") + signature[64:]
    assert bundle.recover(DIGEST, changed) != key_of("anna").public_key.to_checksum_address()


def test_recover__nobody__reverts(bundle: Contract) -> None:
    with reverts("bundle: bad signature"):
        bundle.recover(DIGEST, bytes(64) + bytes([27]))
