# pragma version 0.4.3
"""
@title Token
@license Apache-2.0
@author Foretell
@notice An ERC-20 whose owner mints.
"""

from ethereum.ercs import IERC20

implements: IERC20

name: public(constant(String[32])) = "Token"
symbol: public(constant(String[32])) = "TKN"
decimals: public(constant(uint8)) = 18

owner: public(immutable(address))
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__():
    owner = msg.sender


@external
def mint(receiver: address, amount: uint256):
    """
    @notice Make tokens.
    @param receiver Who gets them.
    @param amount Units.
    """
    assert msg.sender == owner, "token: not the owner"
    self.totalSupply += amount
    self.balanceOf[receiver] += amount
    log IERC20.Transfer(sender=empty(address), receiver=receiver, value=amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens.
    @param receiver Who gets them.
    @param amount Units.
    @return True; reverts otherwise.
    """
    self._move(msg.sender, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let another account send the caller's tokens.
    @param spender Who may.
    @param amount Units, replaces the earlier amount.
    @return True.
    """
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send another account's tokens, within its allowance.
    @param sender Whose tokens.
    @param receiver Who gets them.
    @param amount Units.
    @return True; reverts otherwise.
    """
    assert self.allowance[sender][msg.sender] >= amount, "token: allowance too small"
    self.allowance[sender][msg.sender] -= amount
    self._move(sender, receiver, amount)
    return True


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert self.balanceOf[sender] >= amount, "token: balance too small"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log IERC20.Transfer(sender=sender, receiver=receiver, value=amount)
