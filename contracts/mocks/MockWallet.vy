# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title MockWallet
@license Apache-2.0
@notice An account with code that answers isValidSignature (EIP-1271), rightly or not. For tests.
"""

RIGHT: constant(uint8) = 0
WRONG: constant(uint8) = 1
REVERT: constant(uint8) = 2
BURN: constant(uint8) = 3

MAGIC: constant(bytes4) = 0x1626ba7e

mode: public(uint8)
signed: HashMap[bytes32, bytes32]


@external
def set_mode(mode: uint8):
    self.mode = mode


@external
def sign(digest: bytes32, signature: Bytes[1024]):
    self.signed[digest] = keccak256(signature)


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    assert self.mode != REVERT
    if self.mode == BURN:
        for i: uint256 in range(2**128):
            pass
    if self.mode == WRONG or self.signed[digest] != keccak256(signature):
        return 0xffffffff
    return MAGIC
