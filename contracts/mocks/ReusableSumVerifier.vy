# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title ReusableSumVerifier
@license Apache-2.0
@notice Stands for EZKL's reusable verifier in tests: anybody registers keys, the "circuit" adds the inputs up. As
        EZKL's it answers with the digest of the key and, behind that, more words than a caller needs.
"""

from . import SumVerifier

_registered: HashMap[bytes32, bool]


@external
def registerVka(vka: DynArray[bytes32, 765]) -> bytes32:
    digest: bytes32 = self._digest(vka)
    self._registered[digest] = True
    return digest


@external
@view
def verifyProof(
    proof: Bytes[16384], instances: DynArray[uint256, 320], vka: DynArray[bytes32, 765]
) -> (bool, bytes32, DynArray[int256, 320]):
    digest: bytes32 = self._digest(vka)
    assert self._registered[digest], "VKA not registered"
    SumVerifier.check(proof, instances)
    return True, digest, [1, 2, 3]


@internal
@pure
def _digest(vka: DynArray[bytes32, 765]) -> bytes32:
    encoded: Bytes[24544] = abi_encode(vka)
    return keccak256(slice(encoded, 64, len(encoded) - 64))
