import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit.chain import Contract, reverts
from tests.kit.compiled import compiled
from tests.kit.world import BOND, ETHER, MIN_BOND, UNBONDING_PERIOD, World, key_of

CAP = 10 * ETHER


@pytest.fixture
def registry(world: World) -> Contract:
    """A registry whose settlement is an ordinary account, so that tests can lock and slash."""
    return world.chain.deploy(
        compiled("OperatorRegistry.vy"), world.chain.account("settlement"), MIN_BOND, UNBONDING_PERIOD
    )


@pytest.fixture
def settlement(world: World) -> str:
    return world.chain.account("settlement")


@pytest.fixture
def operator(world: World, registry: Contract) -> str:
    account = world.chain.account("dora")
    registry.register(signer(), BOND, sender=account, value=BOND)
    return account


def signer(name: str = "dora") -> str:
    return key_of(name).public_key.to_checksum_address()


# ---------------------------------------------------------------------- constructor


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((ZERO_ADDRESS, 1, 1), "operators: settlement is zero"),
        (("0x" + "11" * 20, 0, 1), "operators: minimum bond is zero"),
        (("0x" + "11" * 20, 1, 0), "operators: unbonding period is zero"),
    ],
)
def test_constructor__zero__reverts(world: World, args: tuple[str, int, int], reason: str) -> None:
    with reverts(reason):
        world.deploy("OperatorRegistry.vy", *args)


def test_constructor__parameters__are_public(world: World) -> None:
    assert world.operators.settlement() == world.settlement.address
    assert world.operators.min_bond() == MIN_BOND
    assert world.operators.unbonding_period() == UNBONDING_PERIOD


# ---------------------------------------------------------------------- register, add_bond


def test_register__enough_bond__stores_the_operator(world: World, registry: Contract) -> None:
    account = world.chain.account("dora")
    result = registry.register(signer(), CAP, sender=account, value=BOND)

    info = registry.operator_info(account)
    assert (info.signer, info.bond, info.locked, info.unbonding, info.exposure_cap) == (
        signer(),
        BOND,
        0,
        0,
        CAP,
    )
    assert registry.signer_of(account) == signer()
    assert registry.free_bond(account) == CAP
    assert world.chain.balance(registry.address) == BOND
    assert vars(result.event("OperatorRegistered")) == {
        "operator": account, "signer": signer(), "exposure_cap": CAP, "bond": BOND,
    }  # fmt: skip


def test_register__exactly_the_minimum__is_enough(world: World, registry: Contract) -> None:
    registry.register(signer(), CAP, sender=world.stranger, value=MIN_BOND)
    assert registry.signer_of(world.stranger) == signer()


def test_register__below_the_minimum__reverts(world: World, registry: Contract) -> None:
    with reverts("operators: bond too small"):
        registry.register(signer(), CAP, sender=world.stranger, value=MIN_BOND - 1)


def test_register__twice__reverts(registry: Contract, operator: str) -> None:
    with reverts("operators: already registered"):
        registry.register(signer("other"), CAP, sender=operator, value=BOND)


def test_register__signer_of_another__reverts(world: World, registry: Contract, operator: str) -> None:
    with reverts("operators: signer is taken"):
        registry.register(signer(), CAP, sender=world.stranger, value=BOND)


def test_register__zero_signer__reverts(world: World, registry: Contract) -> None:
    with reverts("operators: signer is zero"):
        registry.register(ZERO_ADDRESS, CAP, sender=world.stranger, value=BOND)


def test_add_bond__registered__adds(registry: Contract, operator: str) -> None:
    result = registry.add_bond(sender=operator, value=ETHER)
    assert registry.operator_info(operator).bond == BOND + ETHER
    assert vars(result.event("BondAdded")) == {"operator": operator, "amount": ETHER, "bond": BOND + ETHER}


def test_add_bond__not_registered__reverts(world: World, registry: Contract) -> None:
    with reverts("operators: not registered"):
        registry.add_bond(sender=world.stranger, value=ETHER)


def test_signer_of__unknown__is_zero(world: World, registry: Contract) -> None:
    assert registry.signer_of(world.stranger) == ZERO_ADDRESS


# ---------------------------------------------------------------------- unbonding


def test_begin_unbond__part__leaves_the_rest_active(world: World, registry: Contract, operator: str) -> None:
    result = registry.begin_unbond(BOND - MIN_BOND, sender=operator)
    info = registry.operator_info(operator)
    assert (info.bond, info.unbonding) == (BOND, BOND - MIN_BOND)
    assert info.unbonding_at == world.chain.time + UNBONDING_PERIOD
    assert registry.free_bond(operator) == MIN_BOND
    assert registry.signer_of(operator) == signer()
    assert vars(result.event("UnbondBegun")) == {
        "operator": operator, "amount": BOND - MIN_BOND, "unbonding": BOND - MIN_BOND,
        "unbonding_at": world.chain.time + UNBONDING_PERIOD,
    }  # fmt: skip


def test_begin_unbond__below_the_minimum__silences_the_signer(registry: Contract, operator: str) -> None:
    registry.begin_unbond(BOND - MIN_BOND + 1, sender=operator)
    assert registry.signer_of(operator) == ZERO_ADDRESS


def test_begin_unbond__again__adds_and_restarts_the_period(
    world: World, registry: Contract, operator: str
) -> None:
    registry.begin_unbond(ETHER, sender=operator)
    world.chain.mine(UNBONDING_PERIOD - 1)
    registry.begin_unbond(2 * ETHER, sender=operator)
    info = registry.operator_info(operator)
    assert (info.unbonding, info.unbonding_at) == (3 * ETHER, world.chain.time + UNBONDING_PERIOD)


def test_begin_unbond__more_than_is_left__reverts(registry: Contract, operator: str) -> None:
    registry.begin_unbond(ETHER, sender=operator)
    with reverts("operators: more than the bond"):
        registry.begin_unbond(BOND - ETHER + 1, sender=operator)


def test_begin_unbond__nothing__reverts(registry: Contract, operator: str) -> None:
    with reverts("operators: nothing to unbond"):
        registry.begin_unbond(0, sender=operator)


def test_finish_unbond__at_the_time__pays(world: World, registry: Contract, operator: str) -> None:
    registry.begin_unbond(ETHER, sender=operator)
    world.chain.mine(UNBONDING_PERIOD)
    before = world.chain.balance(operator)
    result = registry.finish_unbond(sender=operator)
    assert world.chain.balance(operator) == before + ETHER
    info = registry.operator_info(operator)
    assert (info.bond, info.unbonding, info.unbonding_at) == (BOND - ETHER, 0, 0)
    assert vars(result.event("UnbondFinished")) == {
        "operator": operator,
        "amount": ETHER,
        "bond": BOND - ETHER,
    }


def test_finish_unbond__a_second_early__reverts(world: World, registry: Contract, operator: str) -> None:
    registry.begin_unbond(ETHER, sender=operator)
    world.chain.mine(UNBONDING_PERIOD - 1)
    with reverts("operators: still unbonding"):
        registry.finish_unbond(sender=operator)


def test_finish_unbond__nothing__reverts(registry: Contract, operator: str) -> None:
    with reverts("operators: nothing to unbond"):
        registry.finish_unbond(sender=operator)


def test_finish_unbond__twice__pays_once(world: World, registry: Contract, operator: str) -> None:
    registry.begin_unbond(ETHER, sender=operator)
    world.chain.mine(UNBONDING_PERIOD)
    registry.finish_unbond(sender=operator)
    with reverts("operators: nothing to unbond"):
        registry.finish_unbond(sender=operator)


def test_finish_unbond__what_remains_is_locked__waits_for_it(
    world: World, registry: Contract, operator: str, settlement: str
) -> None:
    registry.lock(operator, 2 * ETHER, sender=settlement)
    registry.begin_unbond(BOND - ETHER, sender=operator)
    world.chain.mine(UNBONDING_PERIOD)
    with reverts("operators: bond is locked"):
        registry.finish_unbond(sender=operator)
    registry.unlock(operator, ETHER, sender=settlement)
    registry.finish_unbond(sender=operator)
    assert registry.operator_info(operator).bond == ETHER


def test_finish_unbond__reentered__pays_once(world: World, registry: Contract) -> None:
    attacker = world.deploy("mocks/MockConsumer.vy")
    for name, args, value in [("register", (signer(), CAP), BOND), ("begin_unbond", (ETHER,), 0)]:
        attacker.execute(registry.address, registry.calldata(name, *args), value=value)
    world.chain.mine(UNBONDING_PERIOD)
    attacker.set_reentry(registry.address, registry.calldata("finish_unbond"))
    attacker.execute(registry.address, registry.calldata("finish_unbond"))
    assert world.chain.balance(attacker.address) == ETHER
    assert not attacker.reentry_succeeded()


def test_finish_unbond__reentered_into_another_function__is_locked(world: World, registry: Contract) -> None:
    attacker = world.deploy("mocks/MockConsumer.vy")
    for name, args, value in [("register", (signer(), CAP), BOND), ("begin_unbond", (ETHER,), 0)]:
        attacker.execute(registry.address, registry.calldata(name, *args), value=value)
    world.chain.mine(UNBONDING_PERIOD)
    attacker.set_reentry(registry.address, registry.calldata("begin_unbond", ETHER))
    attacker.execute(registry.address, registry.calldata("finish_unbond"))
    assert not attacker.reentry_succeeded()
    assert registry.operator_info(attacker.address).unbonding == 0


def test_views__read_while_ether_leaves__answer(world: World, registry: Contract) -> None:
    reader = world.deploy("mocks/MockConsumer.vy")
    for name, args, value in [("register", (signer(), CAP), BOND), ("begin_unbond", (ETHER,), 0)]:
        reader.execute(registry.address, registry.calldata(name, *args), value=value)
    world.chain.mine(UNBONDING_PERIOD)
    for name in ("signer_of", "free_bond", "operator_info"):
        with world.chain.isolate():
            reader.set_reentry(registry.address, registry.calldata(name, reader.address))
            reader.execute(registry.address, registry.calldata("finish_unbond"))
            assert reader.reentry_succeeded()


# ---------------------------------------------------------------------- lock, unlock, slash, fine


def test_lock__free_bond__moves_it(registry: Contract, operator: str, settlement: str) -> None:
    result = registry.lock(operator, ETHER, sender=settlement)
    assert registry.operator_info(operator).locked == ETHER
    assert registry.free_bond(operator) == BOND - ETHER
    assert vars(result.event("BondLocked")) == {"operator": operator, "amount": ETHER}


def test_lock__all_of_it__leaves_nothing(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, BOND, sender=settlement)
    assert registry.free_bond(operator) == 0
    with reverts("operators: free bond too small"):
        registry.lock(operator, 1, sender=settlement)


def test_lock__over_the_exposure_cap__reverts(world: World, registry: Contract, settlement: str) -> None:
    registry.register(signer(), CAP, sender=world.stranger, value=BOND)
    registry.lock(world.stranger, CAP, sender=settlement)
    with reverts("operators: free bond too small"):
        registry.lock(world.stranger, 1, sender=settlement)


def test_lock__leaving_bond__does_not_count(registry: Contract, operator: str, settlement: str) -> None:
    registry.begin_unbond(BOND - ETHER, sender=operator)
    with reverts("operators: free bond too small"):
        registry.lock(operator, ETHER + 1, sender=settlement)
    registry.lock(operator, ETHER, sender=settlement)


def test_free_bond__locked_over_what_stays__is_zero(
    registry: Contract, operator: str, settlement: str
) -> None:
    registry.lock(operator, 2 * ETHER, sender=settlement)
    registry.begin_unbond(BOND - ETHER, sender=operator)
    assert registry.free_bond(operator) == 0


def test_unlock__part__frees_it(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, 3 * ETHER, sender=settlement)
    result = registry.unlock(operator, ETHER, sender=settlement)
    assert registry.operator_info(operator).locked == 2 * ETHER
    assert vars(result.event("BondUnlocked")) == {"operator": operator, "amount": ETHER}


def test_unlock__more_than_is_locked__reverts(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, ETHER, sender=settlement)
    with reverts("operators: more than is locked"):
        registry.unlock(operator, ETHER + 1, sender=settlement)


def test_slash__locked__goes_to_settlement(
    world: World, registry: Contract, operator: str, settlement: str
) -> None:
    registry.lock(operator, 3 * ETHER, sender=settlement)
    before = world.chain.balance(settlement)
    result = registry.slash(operator, ETHER, sender=settlement)
    info = registry.operator_info(operator)
    assert (info.bond, info.locked) == (BOND - ETHER, 2 * ETHER)
    assert world.chain.balance(settlement) == before + ETHER
    assert world.chain.balance(registry.address) == BOND - ETHER
    assert vars(result.event("BondSlashed")) == {"operator": operator, "amount": ETHER, "bond": BOND - ETHER}


def test_slash__more_than_is_locked__reverts(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, ETHER, sender=settlement)
    with reverts("operators: more than is locked"):
        registry.slash(operator, ETHER + 1, sender=settlement)


def test_slash__while_all_is_leaving__takes_from_what_leaves(
    world: World, registry: Contract, operator: str, settlement: str
) -> None:
    registry.lock(operator, 3 * ETHER, sender=settlement)
    registry.begin_unbond(BOND, sender=operator)
    registry.slash(operator, 3 * ETHER, sender=settlement)
    info = registry.operator_info(operator)
    assert (info.bond, info.unbonding) == (BOND - 3 * ETHER, BOND - 3 * ETHER)
    world.chain.mine(UNBONDING_PERIOD)
    registry.finish_unbond(sender=operator)
    assert world.chain.balance(registry.address) == 0


@pytest.mark.parametrize("name", ["lock", "unlock", "slash", "fine"])
def test_settlement_functions__by_anyone_else__revert(registry: Contract, operator: str, name: str) -> None:
    with reverts("operators: only settlement"):
        getattr(registry, name)(operator, 0, sender=operator)


def test_lock__active_operator__names_its_key(registry: Contract, operator: str, settlement: str) -> None:
    assert registry.lock(operator, ETHER, sender=settlement).value == signer()


@pytest.mark.parametrize("short", [0, 1])
def test_lock__active_bond_under_the_minimum__names_no_key(
    registry: Contract, operator: str, settlement: str, short: int
) -> None:
    registry.begin_unbond(BOND - MIN_BOND + short, sender=operator)
    expected = ZERO_ADDRESS if short else signer()
    assert registry.lock(operator, 0, sender=settlement).value == expected
    assert registry.signer_of(operator) == expected
    assert registry.key_of(operator) == signer()


def test_lock__unknown_operator__names_no_key(registry: Contract, settlement: str) -> None:
    assert registry.lock(settlement, 0, sender=settlement).value == ZERO_ADDRESS
    assert registry.key_of(settlement) == ZERO_ADDRESS


def test_lock__keeps_bond_and_locked_apart(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, BOND, sender=settlement)
    registry.add_bond(sender=operator, value=ETHER)
    registry.unlock(operator, BOND - 1, sender=settlement)
    info = registry.operator_info(operator)
    assert (info.signer, info.bond, info.locked, info.unbonding) == (signer(), BOND + ETHER, 1, 0)


@pytest.mark.parametrize(("cap", "shown"), [(2**96 - 1, 2**96 - 1), (2**96, 2**256 - 1)])
def test_register__cap_over_every_bond__is_none(
    world: World, registry: Contract, cap: int, shown: int
) -> None:
    registry.register(signer(), cap, sender=world.stranger, value=BOND)
    assert registry.operator_info(world.stranger).exposure_cap == shown
    assert registry.free_bond(world.stranger) == BOND


def test_unbond__keeps_the_cap(world: World, registry: Contract) -> None:
    registry.register(signer(), CAP, sender=world.stranger, value=BOND)
    registry.begin_unbond(ETHER, sender=world.stranger)
    info = registry.operator_info(world.stranger)
    assert (info.exposure_cap, info.unbonding_at) == (CAP, world.chain.time + UNBONDING_PERIOD)
    world.chain.mine(UNBONDING_PERIOD)
    registry.finish_unbond(sender=world.stranger)
    info = registry.operator_info(world.stranger)
    assert (info.exposure_cap, info.unbonding_at) == (CAP, 0)


def test_register__bond_over_96_bits__reverts(world: World, registry: Contract) -> None:
    with reverts("operators: bond too large"):
        registry.register(signer(), CAP, sender=world.stranger, value=2**96)
    registry.register(signer(), CAP, sender=world.stranger, value=2**96 - 1)


def test_add_bond__over_96_bits_in_all__reverts(registry: Contract, operator: str) -> None:
    with reverts("operators: bond too large"):
        registry.add_bond(sender=operator, value=2**96 - BOND)
    registry.add_bond(sender=operator, value=2**96 - 1 - BOND)
    assert registry.operator_info(operator).bond == 2**96 - 1


def test_fine__free_bond__goes_to_settlement(
    world: World, registry: Contract, operator: str, settlement: str
) -> None:
    before = world.chain.balance(settlement)
    result = registry.fine(operator, ETHER, sender=settlement)
    assert result.value == ETHER
    assert registry.operator_info(operator).bond == BOND - ETHER
    assert world.chain.balance(settlement) == before + ETHER
    assert vars(result.event("BondSlashed")) == {"operator": operator, "amount": ETHER, "bond": BOND - ETHER}


def test_fine__locked_bond__is_left(registry: Contract, operator: str, settlement: str) -> None:
    registry.lock(operator, BOND - 3, sender=settlement)
    assert registry.fine(operator, ETHER, sender=settlement).value == 3
    info = registry.operator_info(operator)
    assert info.bond == info.locked == BOND - 3
    with reverts("operators: no bond left"):
        registry.fine(operator, 1, sender=settlement)


def test_fine__leaving_bond__is_taken(registry: Contract, operator: str, settlement: str) -> None:
    registry.begin_unbond(BOND, sender=operator)
    registry.fine(operator, ETHER, sender=settlement)
    info = registry.operator_info(operator)
    assert info.bond == info.unbonding == BOND - ETHER
