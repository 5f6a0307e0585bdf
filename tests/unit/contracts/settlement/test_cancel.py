from tests.kit.chain import reverts
from tests.kit.world import CANCEL_DELAY, CANCELLED, FEE, World


def test_cancel__after_the_delay__refunds(world: World) -> None:
    request_id = world.request(deadline=world.chain.time + 10 * CANCEL_DELAY)
    world.chain.mine(CANCEL_DELAY)
    result = world.settlement.cancel(request_id, sender=world.requester)
    assert world.status(request_id) == CANCELLED
    assert world.credit(world.requester) == FEE
    assert result.names() == ["Cancelled", "Refunded"]
    assert result.event("Cancelled").request_id == request_id
    assert vars(result.event("Refunded")) == {"request_id": request_id, "to": world.requester, "amount": FEE}


def test_cancel__past_the_deadline__is_possible(world: World) -> None:
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    assert world.status(request_id) == CANCELLED


def test_cancel__a_second_early__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY - 1)
    with reverts("settlement: too early to cancel"):
        world.settlement.cancel(request_id, sender=world.requester)


def test_cancel__by_another__reverts(world: World) -> None:
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    with reverts("settlement: only the requester"):
        world.settlement.cancel(request_id, sender=world.stranger)


def test_cancel__delivered__reverts(world: World) -> None:
    request_id = world.request()
    world.deliver(request_id)
    world.chain.mine(CANCEL_DELAY)
    with reverts("settlement: request not open"):
        world.settlement.cancel(request_id, sender=world.requester)


def test_cancel__twice__refunds_once(world: World) -> None:
    request_id = world.request()
    world.chain.mine(CANCEL_DELAY)
    world.settlement.cancel(request_id, sender=world.requester)
    with reverts("settlement: request not open"):
        world.settlement.cancel(request_id, sender=world.requester)
    assert world.credit(world.requester) == FEE
