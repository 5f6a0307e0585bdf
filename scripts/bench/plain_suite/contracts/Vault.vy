# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Vault
@license Apache-2.0
@author Foretell
@notice Holds tokens for shares, which unlock after a day.
"""

from ethereum.ercs import IERC20

event Deposited:
    account: indexed(address)
    amount: uint256
    shares: uint256

event Withdrawn:
    account: indexed(address)
    amount: uint256
    shares: uint256

LOCK: constant(uint256) = 86_400

asset: public(immutable(IERC20))
shares: public(HashMap[address, uint256])
unlocked_at: public(HashMap[address, uint256])
total_shares: public(uint256)


@deploy
def __init__(token: IERC20):
    asset = token


@external
@view
def value_of(account: address) -> uint256:
    """
    @notice What an account's shares are worth.
    @param account Whose.
    @return Tokens.
    """
    if self.total_shares == 0:
        return 0
    return staticcall asset.balanceOf(self) * self.shares[account] // self.total_shares


@external
def deposit(amount: uint256) -> uint256:
    """
    @notice Put tokens in.
    @param amount Tokens, which the vault must be allowed to take.
    @return Shares.
    """
    assert amount > 0, "vault: nothing to deposit"
    minted: uint256 = amount
    if self.total_shares > 0:
        minted = amount * self.total_shares // staticcall asset.balanceOf(self)
    self.shares[msg.sender] += minted
    self.total_shares += minted
    self.unlocked_at[msg.sender] = block.timestamp + LOCK
    assert extcall asset.transferFrom(msg.sender, self, amount), "vault: transfer failed"
    log Deposited(account=msg.sender, amount=amount, shares=minted)
    return minted


@external
def withdraw(burned: uint256) -> uint256:
    """
    @notice Take tokens out.
    @param burned Shares.
    @return Tokens.
    """
    assert self.shares[msg.sender] >= burned, "vault: not your shares"
    assert block.timestamp >= self.unlocked_at[msg.sender], "vault: still locked"
    amount: uint256 = staticcall asset.balanceOf(self) * burned // self.total_shares
    self.shares[msg.sender] -= burned
    self.total_shares -= burned
    assert extcall asset.transfer(msg.sender, amount), "vault: transfer failed"
    log Withdrawn(account=msg.sender, amount=amount, shares=burned)
    return amount
