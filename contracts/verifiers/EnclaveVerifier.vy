# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title EnclaveVerifier
@license Apache-2.0
@author Foretell
@notice Checks that a result was signed by a key that lives inside an enclave which runs what the model names.
@dev Nobody has powers here by rank. A model pins an identity, the hash of an attester and of what that attester
     measures (enclave_measurement of its manifest), and an attester speaks for its own identities alone: it reads
     attestation documents, by itself or on chain, and vouches for the keys that it finds in them. It can vouch
     for no other model's keys, move no funds and change no result that is final.
@custom:invariant verify returns a key only if the model's attester registered it, it has neither expired nor been
                  revoked, and it signed this very statement for this chain and contract.
                  A key is registered for an identity once, and a revoked one never lives again.
@custom:security An enclave's signature is worth its attester's word and the hardware's. It never outranks a proof.
"""

from ..interfaces import IEnclaveVerifier
from ..interfaces import IModelRegistry
from ..lib import bundle

implements: IEnclaveVerifier

STATEMENT_TYPEHASH: constant(bytes32) = keccak256(
    "Statement(bytes32 request_id,bytes32 model_id,bytes32 input_hash,bytes32 output_hash,bytes32 seed,uint64 signed_at)"
)
# What an attestation document says grows stale: a key that is needed for longer is attested anew, as another.
MAX_LIFETIME: constant(uint256) = 90 * 24 * 3600

model_registry: public(immutable(address))

_keys: HashMap[bytes32, HashMap[address, IEnclaveVerifier.Key]]


@deploy
def __init__(model_registry_: address):
    """
    @param model_registry_ Where models pin the identities of their enclaves.
    """
    assert model_registry_ != empty(address), "enclave: registry is zero"
    model_registry = model_registry_


### Attesters


@external
def register_key(key: address, measurement: bytes32, expires_at: uint64):
    """
    @notice Vouch for a key: the caller has seen an attestation of an enclave with this measurement that holds it.
    @dev Counts for the caller's own identities alone. Once for each key: its expiry cannot be put off.
    @param key Address of the key, which never leaves the enclave.
    @param measurement What the enclave runs; for AWS Nitro keccak256 of PCR0, PCR1 and PCR2.
    @param expires_at Second from which on the key counts no more, at most 90 days ahead.
    """
    assert key != empty(address), "enclave: key is zero"
    assert convert(expires_at, uint256) > block.timestamp, "enclave: expiry has passed"
    assert convert(expires_at, uint256) <= block.timestamp + MAX_LIFETIME, "enclave: expiry too far ahead"
    identity: bytes32 = self._identity(msg.sender, measurement)
    assert self._keys[identity][key].registered_at == 0, "enclave: key is known"

    self._keys[identity][key] = IEnclaveVerifier.Key(
        registered_at=convert(block.timestamp, uint64), expires_at=expires_at, revoked_at=0
    )
    log IEnclaveVerifier.KeyRegistered(
        identity=identity, key=key, attester=msg.sender, measurement=measurement, expires_at=expires_at
    )


@external
def revoke_key(key: address, measurement: bytes32):
    """
    @notice Take the word for a key back, for good. Results that rest on it and are not final lose their evidence.
    @dev At once: a delay would help nobody but a thief.
    @param key A key that the caller registered.
    @param measurement The measurement that it was registered with.
    """
    identity: bytes32 = self._identity(msg.sender, measurement)
    known: IEnclaveVerifier.Key = self._keys[identity][key]
    assert known.registered_at != 0, "enclave: key is unknown"
    assert known.revoked_at == 0, "enclave: key is revoked"
    self._keys[identity][key].revoked_at = convert(block.timestamp, uint64)
    log IEnclaveVerifier.KeyRevoked(identity=identity, key=key)


### Views


@external
@view
def verify(
    verifying_contract: address, statement: IEnclaveVerifier.Statement, signature: Bytes[65]
) -> address:
    """
    @notice Verify what an enclave signed of a result.
    @dev The time in a statement keeps what a key signed before it was vouched for from counting, and tells others
         how old an answer is; a key counts no more from its expiry on, whatever it says it signed before.
    @param verifying_contract Settlement or precompile to which the statement is addressed.
    @param statement Request, model, input, output, seed and time.
    @param signature r, s and v of the EIP-712 digest, v 27 or 28 and s low.
    @return The key that signed; everything else reverts.
    """
    identity: bytes32 = staticcall IModelRegistry(model_registry).enclave_measurement(statement.model_id)
    assert identity != empty(bytes32), "enclave: model names none"
    struct_hash: bytes32 = keccak256(
        abi_encode(
            STATEMENT_TYPEHASH,
            statement.request_id,
            statement.model_id,
            statement.input_hash,
            statement.output_hash,
            statement.seed,
            statement.signed_at,
        )
    )
    key: address = bundle.recover(bundle.typed_digest(verifying_contract, struct_hash), signature)
    known: IEnclaveVerifier.Key = self._keys[identity][key]
    assert known.registered_at != 0, "enclave: key is unknown"
    assert known.revoked_at == 0, "enclave: key is revoked"
    assert block.timestamp < convert(known.expires_at, uint256), "enclave: key has expired"
    assert statement.signed_at >= known.registered_at, "enclave: signed before the key was vouched for"
    assert convert(statement.signed_at, uint256) <= block.timestamp, "enclave: signed in the future"
    return key


@external
@view
def is_live(model_id: bytes32, key: address) -> bool:
    """
    @notice Whether a key still speaks for a model's enclave: what a result that is not final rests on.
    @dev Revocation alone ends that. Expiry does not: the signature was good when it was checked.
    @param model_id The model.
    @param key A key that signed.
    @return True if it is registered for the model's identity and not revoked.
    """
    identity: bytes32 = staticcall IModelRegistry(model_registry).enclave_measurement(model_id)
    known: IEnclaveVerifier.Key = self._keys[identity][key]
    return known.registered_at != 0 and known.revoked_at == 0


@external
@view
def key_of(identity: bytes32, key: address) -> IEnclaveVerifier.Key:
    """
    @notice All that is stored of a key.
    @param identity What a model pins.
    @param key The key.
    @return Times; all zero when it is unknown.
    """
    return self._keys[identity][key]


@external
@pure
def identity_of(attester: address, measurement: bytes32) -> bytes32:
    """
    @notice What a manifest pins as enclave_measurement.
    @param attester Whose word on keys counts.
    @param measurement What the enclave must run.
    @return Their hash.
    """
    return self._identity(attester, measurement)


@internal
@pure
def _identity(attester: address, measurement: bytes32) -> bytes32:
    return keccak256(abi_encode(attester, measurement))
