"""Credits: what a request takes from them, and that nonce and credit share a slot without touching."""

from eth_utils import keccak

from tests.kit.chain import reverts
from tests.kit.world import CANCEL_DELAY, FEE, INPUTS, World


def test_deposit__for_another__is_its_credit(world: World) -> None:
    result = world.settlement.deposit(world.requester, sender=world.stranger, value=FEE)
    assert (world.credit(world.requester), world.credit(world.stranger)) == (FEE, 0)
    assert vars(result.event("Deposited")) == {"account": world.requester, "amount": FEE}


def test_request__out_of_the_credit__needs_no_ether(world: World) -> None:
    world.settlement.deposit(world.requester, sender=world.stranger, value=3 * FEE)
    result = world.settlement.request(
        world.model_id, INPUTS, world.policy(), fee=2 * FEE, sender=world.requester
    )
    assert world.credit(world.requester) == FEE
    assert result.names() == ["Requested"]
    assert world.settlement.request_of(result.value).fee == 2 * FEE


def test_request__more_ether_than_the_fee__leaves_a_credit(world: World) -> None:
    result = world.settlement.request(
        world.model_id, INPUTS, world.policy(), fee=FEE, value=3 * FEE, sender=world.requester
    )
    assert world.credit(world.requester) == 2 * FEE
    assert vars(result.event("Deposited")) == {"account": world.requester, "amount": 3 * FEE}


def test_request__credit_and_ether_just_suffice__is_open(world: World) -> None:
    world.settlement.deposit(world.requester, value=1)
    world.settlement.request(
        world.model_id, INPUTS, world.policy(), fee=FEE, value=FEE - 1, sender=world.requester
    )
    assert world.credit(world.requester) == 0


def test_request__credit_too_small__reverts(world: World) -> None:
    world.settlement.deposit(world.stranger, value=FEE)
    with reverts("accounts: credit too small"):
        world.settlement.request(
            world.model_id, INPUTS, world.policy(), fee=FEE, value=FEE - 1, sender=world.requester
        )


def test_settle_receipt__credit_too_small__reverts(world: World) -> None:
    receipt_id = world.infer(world.right)
    with reverts("accounts: credit too small"):
        world.settlement.settle_receipt(receipt_id, world.model_id, INPUTS, 0, fee=1, sender=world.requester)


def test_withdraw__keeps_the_nonce(world: World) -> None:
    world.request()
    world.settlement.deposit(world.requester, value=1)
    world.settlement.withdraw(sender=world.requester)
    assert (world.credit(world.requester), world.settlement.nonce_of(world.requester)) == (0, 1)


def test_refund__keeps_the_nonce(world: World) -> None:
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    assert (world.credit(world.requester), world.settlement.nonce_of(world.requester)) == (FEE, 1)


def set_account(world: World, name: str, word: int) -> str:
    """An account of its own with a word that no test could bring about."""
    account = world.chain.account(name)
    slot = int.from_bytes(keccak(bytes(32) + bytes(12) + bytes.fromhex(account[2:])))
    world.chain.evm.insert_account_storage(world.settlement.address, slot, word)
    return account


def test_request__nonce_that_would_run_into_the_credit__reverts(world: World) -> None:
    account = set_account(world, "asks very often", 5 << 64 | 2**64 - 1)
    assert (world.credit(account), world.settlement.nonce_of(account)) == (5, 2**64 - 1)
    with reverts("accounts: too many requests"):
        world.request(requester=account)


def test_refund__credit_over_128_bits__reverts(world: World) -> None:
    account = world.chain.account("very rich")
    request_id = world.request(requester=account)
    set_account(world, "very rich", (2**128 - FEE) << 64 | 1)
    world.chain.mine(CANCEL_DELAY)
    with reverts("accounts: credit too large"):
        world.settlement.cancel(request_id, sender=account)
