# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title bundle
@license Apache-2.0
@notice What an operator signs (EIP-712) and who signed it, the same as foretell_spec.bundle.
        The digest binds chain, contract, request, model, input, output, seed and operator: none can be swapped.
"""

DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("Foretell")
VERSION_HASH: constant(bytes32) = keccak256("1")
BUNDLE_TYPEHASH: constant(bytes32) = keccak256(
    "Bundle(bytes32 request_id,bytes32 model_id,bytes32 input_hash,bytes32 output_hash,bytes32 seed,address operator)"
)

BATCH_TYPEHASH: constant(bytes32) = keccak256(
    "Batch(Bundle[] bundles)Bundle(bytes32 request_id,bytes32 model_id,bytes32 input_hash,bytes32 output_hash,bytes32 seed,address operator)"
)
MAX_BATCH: constant(uint256) = 100

# Half the order of secp256k1: a larger s is the malleable twin of a signature (EIP-2).
HALF_ORDER: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)


# Computed on every call and never stored: a chain that forks gets another chain id.
@internal
@view
def typed_digest(verifying_contract: address, struct_hash: bytes32) -> bytes32:
    domain: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, chain.id, verifying_contract)
    )
    return keccak256(concat(b"\x19\x01", domain, struct_hash))


@internal
@pure
def struct_hash(
    request_id: bytes32,
    model_id: bytes32,
    input_hash: bytes32,
    output_hash: bytes32,
    seed: bytes32,
    operator: address,
) -> bytes32:
    return keccak256(
        abi_encode(BUNDLE_TYPEHASH, request_id, model_id, input_hash, output_hash, seed, operator)
    )


# Struct hash of many bundles under one signature.
@internal
@pure
def batch_hash(struct_hashes: DynArray[bytes32, MAX_BATCH]) -> bytes32:
    encoded: Bytes[64 + 32 * MAX_BATCH] = abi_encode(struct_hashes)
    # EIP-712 hashes the elements alone, without offset and length.
    elements: Bytes[64 + 32 * MAX_BATCH] = slice(encoded, 64, 32 * len(struct_hashes))
    return keccak256(abi_encode(BATCH_TYPEHASH, keccak256(elements)))


# Signer of r || s || v with v 27 or 28 and a low s; reverts when there is none.
@internal
@pure
def recover(signed: bytes32, signature: Bytes[65]) -> address:
    assert len(signature) == 65, "bundle: signature is not 65 bytes"
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert s <= HALF_ORDER, "bundle: signature is malleable"
    # Zero for every other v, and where no key fits.
    signer: address = ecrecover(signed, v, r, s)
    assert signer != empty(address), "bundle: bad signature"
    return signer
