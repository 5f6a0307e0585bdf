# pragma version ~=0.4.3
# pragma nonreentrancy off
"""
@title credits
@license Apache-2.0
@notice Ether that accounts may withdraw. Payments are pulled, so that nobody's refusal stops a settlement.
"""

credits: HashMap[address, uint256]


@internal
def add(account: address, amount: uint256):
    self.credits[account] += amount


# All of the account's credit, to be sent by the caller; the credit is gone before anything is sent.
@internal
def take(account: address) -> uint256:
    amount: uint256 = self.credits[account]
    assert amount > 0, "credits: nothing to withdraw"
    self.credits[account] = 0
    return amount
