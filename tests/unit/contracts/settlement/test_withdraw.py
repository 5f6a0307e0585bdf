from tests.kit.chain import Contract, reverts
from tests.kit.world import CANCEL_DELAY, FEE, INPUTS, World


def test_withdraw__credit__is_sent_once(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.prove(request_id)
    before = world.chain.balance(world.alice.address)
    result = world.settlement.withdraw(sender=world.alice.address)
    assert result.value == FEE
    assert world.chain.balance(world.alice.address) == before + FEE
    assert world.credit(world.alice) == 0
    assert world.chain.balance(world.settlement.address) == 0
    assert vars(result.event("Withdrawn")) == {"account": world.alice.address, "amount": FEE}
    with reverts("accounts: nothing to withdraw"):
        world.settlement.withdraw(sender=world.alice.address)


def test_withdraw__no_credit__reverts(world: World) -> None:
    world.request()
    with reverts("accounts: nothing to withdraw"):
        world.settlement.withdraw(sender=world.stranger)


def refunded_consumer(world: World) -> Contract:
    """A contract with a credit, beside the escrow of somebody else."""
    consumer = world.deploy("mocks/MockConsumer.vy")
    payload = world.settlement.calldata("request", world.model_id, INPUTS, world.policy(), FEE)
    request_id = consumer.execute(world.settlement.address, payload, value=FEE).value
    world.request()
    world.chain.mine(CANCEL_DELAY)
    consumer.execute(world.settlement.address, world.settlement.calldata("cancel", request_id))
    return consumer


def test_withdraw__reentered__pays_once(world: World) -> None:
    consumer = refunded_consumer(world)
    consumer.set_reentry(world.settlement.address, world.settlement.calldata("withdraw"))
    consumer.execute(world.settlement.address, world.settlement.calldata("withdraw"))
    assert world.chain.balance(consumer.address) == FEE
    assert world.chain.balance(world.settlement.address) == FEE
    assert not consumer.reentry_succeeded()


def test_withdraw__receiver_refuses__keeps_the_credit(world: World) -> None:
    consumer = refunded_consumer(world)
    consumer.set_refuses_ether(True)
    with reverts(""):
        consumer.execute(world.settlement.address, world.settlement.calldata("withdraw"))
    assert world.credit(consumer.address) == FEE


def test_withdraw__ether_forced_in__belongs_to_nobody(world: World) -> None:
    consumer = refunded_consumer(world)
    world.chain.force_ether(world.settlement.address, 100 * FEE)
    consumer.execute(world.settlement.address, world.settlement.calldata("withdraw"))
    assert world.chain.balance(consumer.address) == FEE
