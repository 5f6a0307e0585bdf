"""Keys inside enclaves: attack class C18 of the security notes, and every guard."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.attestation import Statement, enclave_identity
from foretell_spec.divergence import DeterminismClass
from tests.kit.chain import CHAIN_ID, reverts
from tests.kit.manifest import without_circuit
from tests.kit.vectors import cases, raw
from tests.kit.world import World, key_of

DAY = 24 * 3600
LIFETIME = 90 * DAY
MEASUREMENT = b"\x11" * 32
ENCLAVE = key_of("enclave")
KEY = ENCLAVE.public_key.to_checksum_address()


@dataclass
class Attested:
    """A model that pins an attester's identity, and the verifier."""

    world: World
    verifier: Any
    attester: str
    model_id: bytes

    @property
    def identity(self) -> bytes:
        """What the model pins."""
        return enclave_identity(self.attester, MEASUREMENT)

    def register(self, **changes: Any) -> Any:
        """Vouch for the enclave's key, from now on for a day."""
        given = {"key": KEY, "measurement": MEASUREMENT, "expires_at": self.world.chain.time + DAY}
        sender = changes.pop("sender", self.attester)
        return self.verifier.register_key(*(given | changes).values(), sender=sender)

    def revoke(self, sender: str | None = None, measurement: bytes = MEASUREMENT) -> Any:
        """Take the word back."""
        return self.verifier.revoke_key(KEY, measurement, sender=sender or self.attester)

    def statement(self, **changes: Any) -> Statement:
        """A result that the enclave signed now."""
        words = [bytes([number]) * 32 for number in range(1, 5)]
        base = Statement(words[0], self.model_id, *words[1:], signed_at=self.world.chain.time)
        return replace(base, **changes)

    def verify(self, statement: Statement | None = None, signed: Statement | None = None) -> Any:
        """Verify a statement with the enclave's signature of it, or of another one."""
        told = statement or self.statement()
        settlement = self.world.settlement.address
        signature = (signed or told).sign(ENCLAVE, CHAIN_ID, settlement)
        return self.verifier.verify(settlement, told.words(), signature)


@pytest.fixture
def attested(world: World) -> Attested:
    attester = world.chain.account("attester")
    identity = enclave_identity(attester, MEASUREMENT)
    manifest = world.make_manifest(**without_circuit(DeterminismClass.INTEGER), enclave_measurement=identity)
    model_id = world.register_model(manifest, ZERO_ADDRESS)
    verifier = world.deploy("verifiers/EnclaveVerifier.vy", world.models.address)
    return Attested(world, verifier, attester, model_id)


def test_constructor__zero_registry__reverts(world: World) -> None:
    with reverts("enclave: registry is zero"):
        world.deploy("verifiers/EnclaveVerifier.vy", ZERO_ADDRESS)


def test_constructor__registry__is_public(attested: Attested) -> None:
    assert attested.verifier.model_registry() == attested.world.models.address


@pytest.mark.parametrize("vector", cases("attestation", "identity"))
def test_identity__vector__gives_the_expected(attested: Attested, vector: dict[str, Any]) -> None:
    identity = attested.verifier.identity_of(vector["attester"], raw(vector["measurement"]))
    assert identity == raw(vector["identity"])


def test_register__event__tells_whose_word_it_is(attested: Attested) -> None:
    (event,) = attested.register().events
    expires_at = attested.world.chain.time + DAY
    assert vars(event.args) == {
        "identity": attested.identity,
        "key": KEY,
        "attester": attested.attester,
        "measurement": MEASUREMENT,
        "expires_at": expires_at,
    }
    stored = attested.verifier.key_of(attested.identity, KEY)
    assert vars(stored) == {
        "registered_at": attested.world.chain.time, "expires_at": expires_at, "revoked_at": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": ZERO_ADDRESS}, "enclave: key is zero"),
        ({"lifetime": 0}, "enclave: expiry has passed"),
        ({"lifetime": LIFETIME + 1}, "enclave: expiry too far ahead"),
    ],
)
def test_register__bad_argument__reverts(attested: Attested, changes: dict[str, Any], reason: str) -> None:
    if "lifetime" in changes:
        changes = {"expires_at": attested.world.chain.time + changes["lifetime"]}
    with reverts(reason):
        attested.register(**changes)


@pytest.mark.parametrize("lifetime", [1, LIFETIME])
def test_register__shortest_and_longest_life__are_taken(attested: Attested, lifetime: int) -> None:
    attested.register(expires_at=attested.world.chain.time + lifetime)


def test_register__again__reverts(attested: Attested) -> None:
    """Its expiry cannot be put off."""
    attested.register()
    with reverts("enclave: key is known"):
        attested.register(expires_at=attested.world.chain.time + 2 * DAY)


def test_register__after_revocation__reverts(attested: Attested) -> None:
    attested.register()
    attested.revoke()
    with reverts("enclave: key is known"):
        attested.register()


def test_verify__registered_key__is_told(attested: Attested) -> None:
    attested.register()
    assert attested.verify() == KEY


def test_verify__another_statement__reverts(attested: Attested) -> None:
    attested.register()
    for field in ("request_id", "input_hash", "output_hash", "seed"):
        with reverts("enclave: key is unknown"):
            attested.verify(signed=attested.statement(**{field: b"\x77" * 32}))
    with reverts("enclave: key is unknown"):
        attested.verify(signed=attested.statement(signed_at=attested.world.chain.time - 1))


def test_verify__another_chain_or_contract__reverts(attested: Attested) -> None:
    """C18: a key that serves several chains signs for each by itself."""
    attested.register()
    statement, settlement = attested.statement(), attested.world.settlement.address
    elsewhere = statement.sign(ENCLAVE, CHAIN_ID + 1, settlement)
    with reverts("enclave: key is unknown"):
        attested.verifier.verify(settlement, statement.words(), elsewhere)
    with reverts("enclave: key is unknown"):
        attested.verifier.verify(
            attested.attester, statement.words(), statement.sign(ENCLAVE, CHAIN_ID, settlement)
        )


def test_verify__malformed_signature__reverts(attested: Attested) -> None:
    attested.register()
    settlement = attested.world.settlement.address
    with reverts("bundle: signature is not 65 bytes"):
        attested.verifier.verify(settlement, attested.statement().words(), b"")


def test_verify__model_without_an_enclave__reverts(attested: Attested) -> None:
    attested.register()
    for model_id in (attested.world.model_id, b"\x55" * 32):
        with reverts("enclave: model names none"):
            attested.verify(attested.statement(model_id=model_id))


def test_verify__word_of_another_attester__counts_for_nothing(attested: Attested) -> None:
    """Anybody can vouch, for identities of their own."""
    attested.register(sender=attested.world.stranger)
    with reverts("enclave: key is unknown"):
        attested.verify()


def test_verify__other_measurement__counts_for_nothing(attested: Attested) -> None:
    """C18: a debug enclave, or another image, is another identity."""
    attested.register(measurement=b"\0" * 32)
    with reverts("enclave: key is unknown"):
        attested.verify()


def test_verify__at_the_expiry__reverts(attested: Attested) -> None:
    attested.register()
    start = attested.world.chain.time
    attested.world.chain.travel_to(start + DAY - 1)
    assert attested.verify() == KEY
    attested.world.chain.travel_to(start + DAY)
    with reverts("enclave: key has expired"):
        attested.verify(attested.statement(signed_at=start))


def test_verify__revoked__reverts(attested: Attested) -> None:
    attested.register()
    attested.revoke()
    with reverts("enclave: key is revoked"):
        attested.verify()


def test_verify__signed_before_it_was_vouched_for__reverts(attested: Attested) -> None:
    attested.register()
    registered = attested.world.chain.time
    attested.world.chain.mine()
    assert attested.verify(attested.statement(signed_at=registered)) == KEY
    with reverts("enclave: signed before the key was vouched for"):
        attested.verify(attested.statement(signed_at=registered - 1))


def test_verify__signed_in_the_future__reverts(attested: Attested) -> None:
    attested.register()
    with reverts("enclave: signed in the future"):
        attested.verify(attested.statement(signed_at=attested.world.chain.time + 1))


def test_revoke__event_and_time__are_kept(attested: Attested) -> None:
    attested.register()
    attested.world.chain.mine()
    (event,) = attested.revoke().events
    assert vars(event.args) == {"identity": attested.identity, "key": KEY}
    assert attested.verifier.key_of(attested.identity, KEY).revoked_at == attested.world.chain.time


def test_revoke__by_another__reverts(attested: Attested) -> None:
    attested.register()
    with reverts("enclave: key is unknown"):
        attested.revoke(sender=attested.world.stranger)
    with reverts("enclave: key is unknown"):
        attested.revoke(measurement=b"\0" * 32)
    assert attested.verify() == KEY


def test_revoke__again__reverts(attested: Attested) -> None:
    attested.register()
    attested.revoke()
    with reverts("enclave: key is revoked"):
        attested.revoke()


def test_is_live__until_it_is_revoked__past_its_expiry_too(attested: Attested) -> None:
    live = attested.verifier.is_live
    assert not live(attested.model_id, KEY)
    attested.register()
    assert live(attested.model_id, KEY)
    assert not live(attested.world.model_id, KEY)
    attested.world.chain.travel_to(attested.world.chain.time + 2 * DAY)
    assert live(attested.model_id, KEY)
    attested.revoke()
    assert not live(attested.model_id, KEY)
