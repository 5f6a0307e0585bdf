import pytest

from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit.chain import Contract, reverts
from tests.kit.world import World

SUPPLY = 1000


@pytest.fixture
def token(world: World) -> Contract:
    return world.deploy("examples/IndexToken.vy", SUPPLY)


def test_constructor__supply__is_the_deployers(world: World, token: Contract) -> None:
    assert token.totalSupply() == token.balanceOf(world.deployer) == SUPPLY
    assert (token.name(), token.symbol(), token.decimals()) == ("Index", "IDX", 18)


def test_transfer__enough__moves(world: World, token: Contract) -> None:
    result = token.transfer(world.stranger, 10, sender=world.deployer)
    assert result.value is True
    assert (token.balanceOf(world.deployer), token.balanceOf(world.stranger)) == (SUPPLY - 10, 10)
    assert vars(result.event("Transfer")) == {
        "sender": world.deployer,
        "receiver": world.stranger,
        "value": 10,
    }


def test_transfer__to_oneself__changes_nothing(world: World, token: Contract) -> None:
    token.transfer(world.deployer, SUPPLY, sender=world.deployer)
    assert token.balanceOf(world.deployer) == SUPPLY


def test_transfer__too_much__reverts(world: World, token: Contract) -> None:
    with reverts("token: balance too small"):
        token.transfer(world.stranger, SUPPLY + 1, sender=world.deployer)


def test_transfer_from__allowed__moves_and_uses_the_allowance_up(world: World, token: Contract) -> None:
    approval = token.approve(world.stranger, 10, sender=world.deployer)
    assert vars(approval.event("Approval")) == {
        "owner": world.deployer,
        "spender": world.stranger,
        "value": 10,
    }
    token.transferFrom(world.deployer, ZERO_ADDRESS, 7, sender=world.stranger)
    assert token.allowance(world.deployer, world.stranger) == 3
    assert token.balanceOf(ZERO_ADDRESS) == 7
    with reverts("token: allowance too small"):
        token.transferFrom(world.deployer, world.stranger, 4, sender=world.stranger)
    token.transferFrom(world.deployer, world.stranger, 3, sender=world.stranger)
    assert token.allowance(world.deployer, world.stranger) == 0
