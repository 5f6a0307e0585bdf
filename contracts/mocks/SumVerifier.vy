# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title SumVerifier
@license Apache-2.0
@notice Stands for an EZKL verifier in tests: the "circuit" adds the inputs up, and is sound for that. The last
        instance is the output. As EZKL's, it reverts on a bad proof.
"""

FIELD_MODULUS: constant(uint256) = (
    21888242871839275222246405745257275088548364400416034343698204186575808495617
)


@external
@view
def verifyProof(proof: Bytes[16384], instances: DynArray[uint256, 320]) -> bool:
    self.check(proof, instances)
    return True


@internal
@pure
def check(proof: Bytes[16384], instances: DynArray[uint256, 320]):
    assert proof == b"valid proof"
    total: uint256 = 0
    for i: uint256 in range(len(instances) - 1, bound=320):
        assert instances[i] < FIELD_MODULUS
        total = (total + instances[i]) % FIELD_MODULUS
    assert instances[len(instances) - 1] == total
