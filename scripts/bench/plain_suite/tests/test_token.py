import ape
import pytest

SUPPLY = 10**24
NOBODY = "0x0000000000000000000000000000000000000000"


@pytest.mark.parametrize(
    ("field", "value"), [("name", "Token"), ("symbol", "TKN"), ("decimals", 18), ("totalSupply", SUPPLY)]
)
def test_view(token, field, value):
    assert getattr(token, field)() == value


def test_owner(token, owner):
    assert token.owner() == owner


@pytest.mark.parametrize("amount", [0, 1, 10**18, SUPPLY])
def test_transfer(token, alice, bob, amount):
    receipt = token.transfer(bob, amount, sender=alice)
    assert receipt.events == [token.Transfer(alice, bob, amount)]
    assert token.balanceOf(bob) == amount
    assert token.balanceOf(alice) == SUPPLY - amount


def test_transfer__to_oneself(token, alice):
    token.transfer(alice, 5, sender=alice)
    assert token.balanceOf(alice) == SUPPLY


@pytest.mark.parametrize("amount", [SUPPLY + 1, 2**256 - 1])
def test_transfer__too_much__reverts(token, alice, bob, amount):
    with ape.reverts("token: balance too small"):
        token.transfer(bob, amount, sender=alice)


def test_transfer__without_tokens__reverts(token, alice, bob):
    with ape.reverts("token: balance too small"):
        token.transfer(alice, 1, sender=bob)


@pytest.mark.parametrize("amount", [0, 7, 2**256 - 1])
def test_approve(token, alice, bob, amount):
    receipt = token.approve(bob, amount, sender=alice)
    assert receipt.events == [token.Approval(alice, bob, amount)]
    assert token.allowance(alice, bob) == amount


def test_transfer_from(token, owner, alice, bob):
    token.approve(bob, 10, sender=alice)
    token.transferFrom(alice, owner, 4, sender=bob)
    assert token.allowance(alice, bob) == 6
    assert token.balanceOf(owner) == 4


@pytest.mark.parametrize("allowed", [0, 3])
def test_transfer_from__over_the_allowance__reverts(token, owner, alice, bob, allowed):
    token.approve(bob, allowed, sender=alice)
    with ape.reverts("token: allowance too small"):
        token.transferFrom(alice, owner, allowed + 1, sender=bob)


def test_mint(token, owner, bob):
    receipt = token.mint(bob, 9, sender=owner)
    assert receipt.events == [token.Transfer(NOBODY, bob, 9)]
    assert token.totalSupply() == SUPPLY + 9


def test_mint__by_a_stranger__reverts(token, bob):
    with ape.reverts("token: not the owner"):
        token.mint(bob, 1, sender=bob)


def test_deploy__again__is_another_token(project, owner, bob, token):
    other = owner.deploy(project.Token)
    other.mint(bob, 3, sender=owner)
    assert other.address != token.address
    assert token.balanceOf(bob) == 0
