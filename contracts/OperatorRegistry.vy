# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title OperatorRegistry
@license Apache-2.0
@author Foretell
@notice Who runs models: a bond, a signing key, and how much of the bond stands behind open requests.
@custom:invariant The balance is at least the sum of all bonds (ether forced in belongs to nobody).
                  For each operator locked <= bond and unbonding <= bond.
                  A signing key belongs to one operator for good.
@custom:security Only Settlement locks, unlocks and slashes; there is no owner.
"""

from interfaces import IOperatorRegistry

implements: IOperatorRegistry

settlement: public(immutable(address))
min_bond: public(immutable(uint256))
unbonding_period: public(immutable(uint256))

_operators: HashMap[address, IOperatorRegistry.Operator]
_operator_of_signer: HashMap[address, address]


@deploy
def __init__(settlement_: address, min_bond_: uint256, unbonding_period_: uint256):
    """
    @param settlement_ The only contract that may lock, unlock and slash.
    @param min_bond_ Active bond (wei) below which an operator has no signer.
    @param unbonding_period_ Seconds that leaving bonds stay slashable.
    """
    assert settlement_ != empty(address), "operators: settlement is zero"
    assert min_bond_ > 0, "operators: minimum bond is zero"
    assert unbonding_period_ > 0, "operators: unbonding period is zero"
    settlement = settlement_
    min_bond = min_bond_
    unbonding_period = unbonding_period_


### Operators


@external
@payable
def register(signer: address, exposure_cap: uint256):
    """
    @notice Become an operator with the ether sent as bond.
    @dev Once per account. A key is never reused, so a signature is of one operator only.
    @param signer Address of the key that signs bundles; may be the operator's own.
    @param exposure_cap Most wei that may be locked at once.
    """
    operator: IOperatorRegistry.Operator = self._operators[msg.sender]
    assert operator.signer == empty(address), "operators: already registered"
    assert signer != empty(address), "operators: signer is zero"
    assert self._operator_of_signer[signer] == empty(address), "operators: signer is taken"
    assert msg.value >= min_bond, "operators: bond too small"

    operator.signer = signer
    operator.bond = msg.value
    operator.exposure_cap = exposure_cap
    self._operators[msg.sender] = operator
    self._operator_of_signer[signer] = msg.sender
    log IOperatorRegistry.OperatorRegistered(
        operator=msg.sender, signer=signer, exposure_cap=exposure_cap, bond=msg.value
    )


@external
@payable
def add_bond():
    """
    @notice Add the ether sent to the caller's bond.
    @dev Registered operators only.
    """
    assert self._operators[msg.sender].signer != empty(address), "operators: not registered"
    bond: uint256 = self._operators[msg.sender].bond + msg.value
    self._operators[msg.sender].bond = bond
    log IOperatorRegistry.BondAdded(operator=msg.sender, amount=msg.value, bond=bond)


@external
def begin_unbond(amount: uint256):
    """
    @notice Start to withdraw part of the bond. It backs no new request, but stays slashable until it has left.
    @dev A second call adds to the first and starts the period again for the whole.
    @param amount Wei, at most the bond that is not leaving already.
    """
    operator: IOperatorRegistry.Operator = self._operators[msg.sender]
    assert amount > 0, "operators: nothing to unbond"
    assert amount <= operator.bond - operator.unbonding, "operators: more than the bond"

    operator.unbonding += amount
    operator.unbonding_at = convert(block.timestamp + unbonding_period, uint64)
    self._operators[msg.sender] = operator
    log IOperatorRegistry.UnbondBegun(
        operator=msg.sender,
        amount=amount,
        unbonding=operator.unbonding,
        unbonding_at=operator.unbonding_at,
    )


@external
def finish_unbond():
    """
    @notice Send the caller what has finished unbonding.
    @dev From `unbonding_at` on (inclusive), and only if what remains covers what is locked.
    """
    operator: IOperatorRegistry.Operator = self._operators[msg.sender]
    amount: uint256 = operator.unbonding
    assert amount > 0, "operators: nothing to unbond"
    assert block.timestamp >= convert(operator.unbonding_at, uint256), "operators: still unbonding"
    assert operator.bond - amount >= operator.locked, "operators: bond is locked"

    operator.bond -= amount
    operator.unbonding = 0
    operator.unbonding_at = 0
    self._operators[msg.sender] = operator
    log IOperatorRegistry.UnbondFinished(operator=msg.sender, amount=amount, bond=operator.bond)

    raw_call(msg.sender, b"", value=amount, gas=msg.gas, max_outsize=0)


### Settlement


@external
def lock(operator: address, amount: uint256):
    """
    @notice Put part of an operator's free bond behind a request.
    @dev Only Settlement. The free bond excludes what is leaving and what is over the exposure cap.
    @param operator The operator.
    @param amount Wei.
    """
    self._only_settlement()
    assert amount <= self._free_bond(operator), "operators: free bond too small"
    locked: uint256 = self._operators[operator].locked + amount
    self._operators[operator].locked = locked
    log IOperatorRegistry.BondLocked(operator=operator, amount=amount, locked=locked)


@external
def unlock(operator: address, amount: uint256):
    """
    @notice Release a lock.
    @dev Only Settlement.
    @param operator The operator.
    @param amount Wei, at most what is locked.
    """
    self._only_settlement()
    locked: uint256 = self._operators[operator].locked
    assert amount <= locked, "operators: more than is locked"
    locked -= amount
    self._operators[operator].locked = locked
    log IOperatorRegistry.BondUnlocked(operator=operator, amount=amount, locked=locked)


@external
def slash(operator: address, amount: uint256):
    """
    @notice Take locked bond and send it to Settlement, which credits it.
    @dev Only Settlement. Leaving bonds are taken too when nothing else is left.
    @param operator The operator.
    @param amount Wei, at most what is locked.
    """
    self._only_settlement()
    state: IOperatorRegistry.Operator = self._operators[operator]
    assert amount <= state.locked, "operators: more than is locked"
    state.locked -= amount
    state.bond -= amount
    state.unbonding = min(state.unbonding, state.bond)
    self._operators[operator] = state
    log IOperatorRegistry.BondSlashed(operator=operator, amount=amount, bond=state.bond)

    raw_call(settlement, b"", value=amount, gas=msg.gas, max_outsize=0)


### Views. Reentrant: every function above has stored its whole effect before it calls out.


@external
@view
@reentrant
def signer_of(operator: address) -> address:
    """
    @notice Key whose signatures count for an operator.
    @param operator The operator.
    @return Zero unless registered with an active bond (bond less unbonding) of at least `min_bond`.
    """
    state: IOperatorRegistry.Operator = self._operators[operator]
    if state.bond - state.unbonding < min_bond:
        return empty(address)
    return state.signer


@external
@view
@reentrant
def free_bond(operator: address) -> uint256:
    """
    @notice Wei that can be locked for an operator now.
    @param operator The operator.
    @return Active bond, at most the exposure cap, less what is locked.
    """
    return self._free_bond(operator)


@external
@view
@reentrant
def operator_info(operator: address) -> IOperatorRegistry.Operator:
    """
    @notice All that is stored of an operator; all zero when it is unknown.
    @param operator The operator.
    @return Signer, bond, locked, unbonding, time, cap.
    """
    return self._operators[operator]


@internal
@view
def _only_settlement():
    assert msg.sender == settlement, "operators: only settlement"


@internal
@view
def _free_bond(operator: address) -> uint256:
    state: IOperatorRegistry.Operator = self._operators[operator]
    usable: uint256 = min(state.bond - state.unbonding, state.exposure_cap)
    return usable - min(usable, state.locked)
