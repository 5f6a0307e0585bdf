# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title BundleHarness
@license Apache-2.0
@notice Opens lib/bundle to tests.
"""

from ..lib import bundle


@external
@view
def digest(
    verifying_contract: address,
    request_id: bytes32,
    model_id: bytes32,
    input_hash: bytes32,
    output_hash: bytes32,
    seed: bytes32,
    operator: address,
) -> bytes32:
    struct_hash: bytes32 = bundle.struct_hash(
        request_id, model_id, input_hash, output_hash, seed, operator
    )
    return bundle.typed_digest(verifying_contract, struct_hash)


@external
@view
def batch_digest(
    verifying_contract: address, struct_hashes: DynArray[bytes32, bundle.MAX_BATCH]
) -> bytes32:
    return bundle.typed_digest(verifying_contract, bundle.batch_hash(struct_hashes))


@external
@pure
def recover(signed: bytes32, signature: Bytes[65]) -> address:
    return bundle.recover(signed, signature)
