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
@custom:security Only Settlement locks, unlocks, slashes and fines; there is no owner.
"""

from interfaces import IOperatorRegistry

implements: IOperatorRegistry

settlement: public(immutable(address))
min_bond: public(immutable(uint256))
unbonding_period: public(immutable(uint256))

# Three words, of which a lock reads the first two and writes the second. No bond reaches 2**96 wei.
MASK_96: constant(uint256) = 2**96 - 1
MASK_160: constant(uint256) = 2**160 - 1
UNBONDING_AT: constant(uint256) = 160
LOCKED_AT: constant(uint256) = 96
CAPPED: constant(uint256) = 1 << 192
CAP_AT: constant(uint256) = 64
MASK_64: constant(uint256) = 2**64 - 1

_keys: HashMap[address, uint256]      # signer (160 bits), unbonding (96)
_funds: HashMap[address, uint256]     # bond (96), locked (96), whether there is a cap (1)
_limits: HashMap[address, uint256]    # time from which the unbonding may leave (64), exposure cap (96)
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
    @param exposure_cap Most wei that may be locked at once; from 2**96 on there is no cap, and locks cost less gas.
    """
    assert self._keys[msg.sender] == 0, "operators: already registered"
    assert signer != empty(address), "operators: signer is zero"
    assert self._operator_of_signer[signer] == empty(address), "operators: signer is taken"
    assert msg.value >= min_bond, "operators: bond too small"
    assert msg.value <= MASK_96, "operators: bond too large"

    self._keys[msg.sender] = convert(signer, uint256)
    self._funds[msg.sender] = msg.value
    if exposure_cap <= MASK_96:
        self._funds[msg.sender] = msg.value | CAPPED
        self._limits[msg.sender] = exposure_cap << CAP_AT
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
    assert self._keys[msg.sender] != 0, "operators: not registered"
    funds: uint256 = self._funds[msg.sender]
    bond: uint256 = (funds & MASK_96) + msg.value
    assert bond <= MASK_96, "operators: bond too large"
    self._funds[msg.sender] = funds + msg.value
    log IOperatorRegistry.BondAdded(operator=msg.sender, amount=msg.value, bond=bond)


@external
def begin_unbond(amount: uint256):
    """
    @notice Start to withdraw part of the bond. It backs no new request, but stays slashable until it has left.
    @dev A second call adds to the first and starts the period again for the whole.
    @param amount Wei, at most the bond that is not leaving already.
    """
    key: uint256 = self._keys[msg.sender]
    unbonding: uint256 = key >> UNBONDING_AT
    assert amount > 0, "operators: nothing to unbond"
    assert amount <= (self._funds[msg.sender] & MASK_96) - unbonding, "operators: more than the bond"

    unbonding += amount
    unbonding_at: uint64 = convert(block.timestamp + unbonding_period, uint64)
    self._keys[msg.sender] = key & MASK_160 | unbonding << UNBONDING_AT
    self._set_unbonding_at(msg.sender, unbonding_at)
    log IOperatorRegistry.UnbondBegun(
        operator=msg.sender, amount=amount, unbonding=unbonding, unbonding_at=unbonding_at
    )


@external
def finish_unbond():
    """
    @notice Send the caller what has finished unbonding.
    @dev From `unbonding_at` on (inclusive), and only if what remains covers what is locked.
    """
    key: uint256 = self._keys[msg.sender]
    funds: uint256 = self._funds[msg.sender]
    bond: uint256 = funds & MASK_96
    amount: uint256 = key >> UNBONDING_AT
    assert amount > 0, "operators: nothing to unbond"
    assert block.timestamp >= self._limits[msg.sender] & MASK_64, "operators: still unbonding"
    assert bond - amount >= self._locked(funds), "operators: bond is locked"

    self._keys[msg.sender] = key & MASK_160
    self._funds[msg.sender] = funds - amount
    self._set_unbonding_at(msg.sender, 0)
    log IOperatorRegistry.UnbondFinished(operator=msg.sender, amount=amount, bond=bond - amount)

    raw_call(msg.sender, b"", value=amount, gas=msg.gas, max_outsize=0)


### Settlement


@external
def lock(operator: address, amount: uint256) -> address:
    """
    @notice Put part of an operator's free bond behind a request, and name the key whose signatures count.
    @dev Only Settlement. The free bond excludes what is leaving and what is over the exposure cap.
    @param operator The operator.
    @param amount Wei.
    @return As `signer_of`.
    """
    self._only_settlement()
    key: uint256 = self._keys[operator]
    funds: uint256 = self._funds[operator]
    active: uint256 = (funds & MASK_96) - (key >> UNBONDING_AT)
    assert amount <= self._free(operator, funds, active), "operators: free bond too small"
    self._funds[operator] = funds + (amount << LOCKED_AT)
    log IOperatorRegistry.BondLocked(operator=operator, amount=amount)
    return self._signer(key, active)


@external
def unlock(operator: address, amount: uint256):
    """
    @notice Release a lock.
    @dev Only Settlement.
    @param operator The operator.
    @param amount Wei, at most what is locked.
    """
    self._only_settlement()
    funds: uint256 = self._funds[operator]
    assert amount <= self._locked(funds), "operators: more than is locked"
    self._funds[operator] = funds - (amount << LOCKED_AT)
    log IOperatorRegistry.BondUnlocked(operator=operator, amount=amount)


@external
def slash(operator: address, amount: uint256):
    """
    @notice Take locked bond and send it to Settlement, which credits it.
    @dev Only Settlement. Leaving bonds are taken too when nothing else is left.
    @param operator The operator.
    @param amount Wei, at most what is locked.
    """
    self._only_settlement()
    funds: uint256 = self._funds[operator]
    assert amount <= self._locked(funds), "operators: more than is locked"
    self._take(operator, funds - (amount << LOCKED_AT), amount)


@external
def fine(operator: address, amount: uint256) -> uint256:
    """
    @notice Take bond that stands behind no request and send it to Settlement, which credits it.
    @dev Only Settlement. What is locked is left to those whom it covers. Leaving bonds are taken too.
    @param operator The operator.
    @param amount Wei at most.
    @return Wei taken.
    """
    self._only_settlement()
    funds: uint256 = self._funds[operator]
    taken: uint256 = min(amount, (funds & MASK_96) - self._locked(funds))
    assert taken > 0, "operators: no bond left"
    self._take(operator, funds, taken)
    return taken


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
    key: uint256 = self._keys[operator]
    return self._signer(key, (self._funds[operator] & MASK_96) - (key >> UNBONDING_AT))


@external
@view
@reentrant
def key_of(operator: address) -> address:
    """
    @notice Key that an operator registered, whatever is left of its bond.
    @param operator The operator.
    @return Zero when it is unknown.
    """
    return convert(self._keys[operator] & MASK_160, address)


@external
@view
@reentrant
def free_bond(operator: address) -> uint256:
    """
    @notice Wei that can be locked for an operator now.
    @param operator The operator.
    @return Active bond, at most the exposure cap, less what is locked.
    """
    funds: uint256 = self._funds[operator]
    active: uint256 = (funds & MASK_96) - (self._keys[operator] >> UNBONDING_AT)
    return self._free(operator, funds, active)


@external
@view
@reentrant
def operator_info(operator: address) -> IOperatorRegistry.Operator:
    """
    @notice All that is stored of an operator; all zero when it is unknown.
    @param operator The operator.
    @return Signer, bond, locked, unbonding, time, cap.
    """
    key: uint256 = self._keys[operator]
    funds: uint256 = self._funds[operator]
    limits: uint256 = self._limits[operator]
    exposure_cap: uint256 = limits >> CAP_AT
    if key != 0 and funds & CAPPED == 0:
        exposure_cap = max_value(uint256)
    return IOperatorRegistry.Operator(
        signer=convert(key & MASK_160, address),
        bond=funds & MASK_96,
        locked=self._locked(funds),
        unbonding=key >> UNBONDING_AT,
        unbonding_at=convert(limits & MASK_64, uint64),
        exposure_cap=exposure_cap,
    )


@internal
@view
def _only_settlement():
    assert msg.sender == settlement, "operators: only settlement"


@internal
@view
def _signer(key: uint256, active: uint256) -> address:
    if active < min_bond:
        return empty(address)
    return convert(key & MASK_160, address)


@internal
@pure
def _locked(funds: uint256) -> uint256:
    return (funds >> LOCKED_AT) & MASK_96


@internal
@view
def _free(operator: address, funds: uint256, active: uint256) -> uint256:
    usable: uint256 = active
    if funds & CAPPED != 0:
        usable = min(active, self._limits[operator] >> CAP_AT)
    return usable - min(usable, self._locked(funds))


# The amount is part of the bond. What is leaving cannot be more than what is there.
@internal
def _take(operator: address, funds: uint256, amount: uint256):
    bond: uint256 = (funds & MASK_96) - amount
    key: uint256 = self._keys[operator]
    self._funds[operator] = funds - amount
    self._keys[operator] = key & MASK_160 | min(key >> UNBONDING_AT, bond) << UNBONDING_AT
    log IOperatorRegistry.BondSlashed(operator=operator, amount=amount, bond=bond)
    raw_call(settlement, b"", value=amount, gas=msg.gas, max_outsize=0)


@internal
def _set_unbonding_at(operator: address, unbonding_at: uint64):
    limits: uint256 = self._limits[operator]
    self._limits[operator] = limits & ~MASK_64 | convert(unbonding_at, uint256)
