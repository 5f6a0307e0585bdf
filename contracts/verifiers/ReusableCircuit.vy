# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title ReusableCircuit
@license Apache-2.0
@author Foretell
@notice One circuit of EZKL's reusable verifier, with the interface of a verifier of its own: for circuits whose own
        verifier would be larger than a chain allows (EIP-170).
@dev A manifest pins this contract's code, immutables included: the hash of the reusable verifier's code and the
     digest of the circuit's key. Where the two lie is stored and not pinned, so both are checked on every call.
     Stateless but for that, and view, so there is nothing to re-enter.
@custom:invariant verifyProof returns True only if the pinned code accepted the proof under the pinned key.
@custom:security Anybody can register a key at the reusable verifier: its answer counts for the pinned digest alone.
"""

MAX_PROOF_BYTES: constant(uint256) = 16384
MAX_INSTANCES: constant(uint256) = 320
# What fits into the code of a contract, with the words of its ABI encoding and the instructions that return it.
MAX_KEY_WORDS: constant(uint256) = 765
MAX_KEY_BYTES: constant(uint256) = 64 + 32 * MAX_KEY_WORDS

verifier_code_hash: public(immutable(bytes32))
key_digest: public(immutable(bytes32))

verifier: public(address)
key_store: public(address)


@deploy
def __init__(verifier_code_hash_: bytes32, key_digest_: bytes32, verifier_: address, key_store_: address):
    """
    @param verifier_code_hash_ Code hash of EZKL's reusable verifier.
    @param key_digest_ keccak256 of the words of the circuit's key.
    @param verifier_ A contract with that code, at which the key is registered.
    @param key_store_ A contract that answers every call with the key, ABI-encoded as bytes32[].
    """
    verifier_code_hash = verifier_code_hash_
    key_digest = key_digest_
    self.verifier = verifier_
    self.key_store = key_store_


@external
@view
def verifyProof(proof: Bytes[MAX_PROOF_BYTES], instances: DynArray[uint256, MAX_INSTANCES]) -> bool:
    """
    @notice Verify a proof of this circuit.
    @dev Of the reusable verifier's answer two words are read, success and digest: EZKL encodes the rest, its
         rescaled instances, in a form that no decoder takes.
    @param proof The proof, as EZKL gives it for the EVM.
    @param instances Field elements: the inputs, then the outputs.
    @return True; a proof that is not accepted reverts.
    """
    target: address = self.verifier
    assert target.codehash == verifier_code_hash, "circuit: verifier code differs"
    stored: Bytes[MAX_KEY_BYTES] = raw_call(
        self.key_store, b"", max_outsize=MAX_KEY_BYTES, gas=msg.gas, is_static_call=True
    )
    key: DynArray[bytes32, MAX_KEY_WORDS] = abi_decode(stored, DynArray[bytes32, MAX_KEY_WORDS])
    answer: Bytes[64] = raw_call(
        target,
        abi_encode(proof, instances, key, method_id=method_id("verifyProof(bytes,uint256[],bytes32[])")),
        max_outsize=64,
        gas=msg.gas,
        is_static_call=True,
    )
    assert len(answer) == 64, "circuit: malformed answer"
    assert extract32(answer, 32) == key_digest, "circuit: another key"
    assert extract32(answer, 0, output_type=uint256) == 1, "circuit: proof rejected"
    return True
