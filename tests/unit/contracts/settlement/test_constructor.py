import json

import pytest

from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from tests.kit.chain import reverts
from tests.kit.compiled import compiled
from tests.kit.world import CANCEL_DELAY, DISPUTE_BOND, World

SOMEBODY = "0x" + "11" * 20


@pytest.mark.parametrize(
    ("contracts", "reason"),
    [
        ((ZERO_ADDRESS, SOMEBODY), "settlement: model registry is zero"),
        ((SOMEBODY, ZERO_ADDRESS), "settlement: disputes is zero"),
    ],
)
def test_constructor__zero_contract__reverts(world: World, contracts: tuple[str, str], reason: str) -> None:
    with reverts(reason):
        world.deploy("Settlement.vy", *contracts, PRECOMPILE, 0)


def test_constructor__operators_of_another_settlement__reverts(world: World) -> None:
    with reverts("settlement: operators of another settlement"):
        world.deploy_settlement(world.disputes.address)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((ZERO_ADDRESS, SOMEBODY, 1), "settlement: operator registry is zero"),
        ((SOMEBODY, ZERO_ADDRESS, 1), "settlement: circuit verifier is zero"),
        ((SOMEBODY, SOMEBODY, 0), "settlement: dispute bond is zero"),
    ],
)
def test_disputes__bad_argument__reverts(world: World, arguments: tuple[str, str, int], reason: str) -> None:
    with reverts(reason):
        world.deploy("Disputes.vy", *arguments)


def test_constructor__parameters__are_public(world: World) -> None:
    settlement = world.settlement
    assert settlement.model_registry() == world.models.address
    assert settlement.operator_registry() == world.operators.address
    assert settlement.disputes() == world.disputes.address
    assert settlement.precompile() == PRECOMPILE
    assert settlement.dispute_bond() == DISPUTE_BOND
    assert settlement.cancel_delay() == CANCEL_DELAY


def test_disputes__parameters__are_those_of_settlement(world: World) -> None:
    for contract in (world.settlement, world.disputes):
        assert contract.operator_registry() == world.operators.address
        assert contract.dispute_bond() == DISPUTE_BOND
    assert world.disputes.circuit_verifier() == world.circuit_verifier.address


def test_disputes__storage_and_lock__lie_where_those_of_settlement_lie() -> None:
    """Disputes runs on Settlement's storage."""
    layouts = [compiled(name)["layout"] for name in ("Settlement.vy", "Disputes.vy")]
    for part in ("storage_layout", "transient_storage_layout"):
        first, second = (json.dumps(layout[part]) for layout in layouts)
        assert first == second


def test_disputes__called_directly__knows_no_request(world: World) -> None:
    request_id = world.request()
    data = world.settlement.calldata("expire", request_id)
    world.chain.mine(10**6)
    with reverts("settlement: nothing to expire"):
        world.chain.send(world.disputes.address, data)
    world.chain.send(world.settlement.address, data)


def test_disputes__ether__is_refused(world: World) -> None:
    with reverts(""):
        world.chain.send(world.disputes.address, value=1)


def test_default__ether_from_anyone__reverts(world: World) -> None:
    with reverts("settlement: only bonds arrive like this"):
        world.chain.send(world.settlement.address, value=1)


@pytest.mark.parametrize("data", [b"\0", b"\1\2\3\4", bytes(100)])
def test_default__unknown_function__reverts(world: World, data: bytes) -> None:
    with reverts(""):
        world.chain.send(world.settlement.address, data)


def test_default__ether_for_a_function_that_takes_none__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(10**6)
    with reverts(""):
        world.chain.send(world.settlement.address, world.settlement.calldata("expire", request_id), value=1)
