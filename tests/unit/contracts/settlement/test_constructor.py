import pytest

from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from tests.kit.chain import reverts
from tests.kit.world import CANCEL_DELAY, DISPUTE_BOND, World

SOMEBODY = "0x" + "11" * 20


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (0, "settlement: model registry is zero"),
        (1, "settlement: operator registry is zero"),
        (2, "settlement: circuit verifier is zero"),
    ],
)
def test_constructor__zero_contract__reverts(world: World, position: int, reason: str) -> None:
    contracts = [SOMEBODY, SOMEBODY, SOMEBODY]
    contracts[position] = ZERO_ADDRESS
    with reverts(reason):
        world.deploy("Settlement.vy", *contracts, PRECOMPILE, 1, 0)


def test_constructor__zero_dispute_bond__reverts(world: World) -> None:
    with reverts("settlement: dispute bond is zero"):
        world.deploy("Settlement.vy", SOMEBODY, SOMEBODY, SOMEBODY, PRECOMPILE, 0, 0)


def test_constructor__parameters__are_public(world: World) -> None:
    settlement = world.settlement
    assert settlement.model_registry() == world.models.address
    assert settlement.operator_registry() == world.operators.address
    assert settlement.circuit_verifier() == world.circuit_verifier.address
    assert settlement.precompile() == PRECOMPILE
    assert settlement.dispute_bond() == DISPUTE_BOND
    assert settlement.cancel_delay() == CANCEL_DELAY


def test_default__ether_from_anyone__reverts(world: World) -> None:
    with reverts("settlement: only bonds arrive like this"):
        world.chain.send(world.settlement.address, value=1)
