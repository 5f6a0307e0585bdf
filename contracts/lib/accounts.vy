# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title accounts
@license Apache-2.0
@notice Ether that accounts may spend on fees or withdraw, and how many requests each has opened, in one slot.
        Payments are pulled, so that nobody's refusal stops a settlement.
"""

MASK_64: constant(uint256) = 2**64 - 1
MASK_128: constant(uint256) = 2**128 - 1
CREDIT_AT: constant(uint256) = 64

# Nonce in the low 64 bits, credit (wei) in the 128 above.
accounts: HashMap[address, uint256]


@internal
@view
def credit_of(account: address) -> uint256:
    return self.accounts[account] >> CREDIT_AT


@internal
@view
def nonce_of(account: address) -> uint256:
    return self.accounts[account] & MASK_64


# Neither bound is ever reached: there is less ether, and no account opens 2**64 requests.
@internal
def add(account: address, amount: uint256):
    word: uint256 = self.accounts[account]
    credit: uint256 = (word >> CREDIT_AT) + amount
    assert credit <= MASK_128, "accounts: credit too large"
    self.accounts[account] = credit << CREDIT_AT | word & MASK_64


# Takes an amount for `count` new requests out of the credit, to which `added` goes first; returns the nonce of the
# first.
@internal
def charge(account: address, added: uint256, amount: uint256, count: uint256) -> uint256:
    word: uint256 = self.accounts[account]
    credit: uint256 = (word >> CREDIT_AT) + added
    nonce: uint256 = word & MASK_64
    assert credit <= MASK_128, "accounts: credit too large"
    assert amount <= credit, "accounts: credit too small"
    assert nonce + count <= MASK_64, "accounts: too many requests"
    self.accounts[account] = (credit - amount) << CREDIT_AT | nonce + count
    return nonce


# All of the account's credit, to be sent by the caller; the credit is gone before anything is sent.
@internal
def take(account: address) -> uint256:
    word: uint256 = self.accounts[account]
    amount: uint256 = word >> CREDIT_AT
    assert amount > 0, "accounts: nothing to withdraw"
    self.accounts[account] = word & MASK_64
    return amount
