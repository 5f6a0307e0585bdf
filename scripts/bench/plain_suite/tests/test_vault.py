import ape
import pytest

DAY = 86_400


def test_asset(vault, token):
    assert vault.asset() == token


def test_value_of__nobody(vault, bob):
    assert vault.value_of(bob) == 0


@pytest.mark.parametrize("amount", [1, 1_000, 10**18])
def test_deposit(approved, token, alice, amount):
    receipt = approved.deposit(amount, sender=alice)
    assert approved.Deposited(alice, amount, amount) in receipt.events
    assert token.balanceOf(approved) == amount
    assert approved.value_of(alice) == amount


def test_deposit__nothing__reverts(approved, alice):
    with ape.reverts("vault: nothing to deposit"):
        approved.deposit(0, sender=alice)


def test_deposit__not_approved__reverts(vault, alice):
    with ape.reverts("token: allowance too small"):
        vault.deposit(1, sender=alice)


def test_deposit__after_a_gift__gets_fewer_shares(deposited, token, alice):
    token.transfer(deposited, 1_000, sender=alice)
    assert deposited.deposit(1_000, sender=alice).return_value == 500
    assert deposited.value_of(alice) == 3_000


def test_deposit__of_two(deposited, token, alice, bob):
    token.transfer(bob, 3_000, sender=alice)
    token.approve(deposited, 3_000, sender=bob)
    deposited.deposit(3_000, sender=bob)
    assert deposited.total_shares() == 4_000
    assert deposited.value_of(bob) == 3_000


@pytest.mark.parametrize("shares", [1, 400, 1_000])
def test_withdraw(deposited, token, chain, alice, shares):
    chain.mine(deltatime=DAY)
    before = token.balanceOf(alice)
    receipt = deposited.withdraw(shares, sender=alice)
    assert deposited.Withdrawn(alice, shares, shares) in receipt.events
    assert token.balanceOf(alice) == before + shares


def test_withdraw__too_early__reverts(deposited, alice):
    with ape.reverts("vault: still locked"):
        deposited.withdraw(1, sender=alice)


@pytest.mark.parametrize("shares", [1_001, 2**256 - 1])
def test_withdraw__too_much__reverts(deposited, alice, shares):
    with ape.reverts("vault: not your shares"):
        deposited.withdraw(shares, sender=alice)


def test_withdraw__of_another__reverts(deposited, bob):
    with ape.reverts("vault: not your shares"):
        deposited.withdraw(1, sender=bob)


def test_ether__is_refused(vault, alice):
    with ape.reverts():
        alice.transfer(vault, 1)


def test_gas__of_a_deposit(approved, alice):
    assert 50_000 < approved.deposit(5, sender=alice).gas_used < 200_000


def test_isolation__each_test_starts_anew(deposited, alice):
    assert deposited.shares(alice) == 1_000
