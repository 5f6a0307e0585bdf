import asyncio

import pytest

from foretell_relayer.chain import TransactionReceipt
from foretell_relayer.core import NEVER, Status, Step, StepKind
from foretell_relayer.errors import SignerUnreachable
from foretell_relayer.operate import control
from foretell_relayer.operate.bookkeeper import Bookkeeper
from foretell_relayer.operate.clerk import Clerk
from foretell_relayer.operate.control import withhold
from foretell_relayer.records import AttemptState, BlockRef, Mode, OrderKind
from foretell_relayer.stages import TRIES, Decider, Inferrer
from foretell_relayer.submit.submitter import Submitter
from foretell_spec.tensor import tensor_hash
from tests.kit.relay import (
    ETHER,
    OPERATOR,
    OTHER,
    START,
    FakeChain,
    a_view,
    make_context,
    make_found,
)


@pytest.fixture
def chain():
    return FakeChain()


@pytest.fixture
def context(tmp_path, chain):
    made = make_context(tmp_path, chain)
    yield made
    made.journal.close()


@pytest.fixture
def ended():
    return []


@pytest.fixture
def clerk(context, ended):
    return Clerk(context, Submitter(context), lambda: ended.append(True))


def record(context, chain, number=0, status=Status.OPEN, view=None, **overrides):
    found = make_found(number, **overrides)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    chain.views[found.request_id] = a_view(status, **(view or {}))
    return found.request_id


def order(context, kind, argument=""):
    return context.journal.give(kind, argument)


def answer(context, order_id):
    return context.journal.order(order_id)


def work(clerk):
    asyncio.run(clerk.work())


def decide(context, chain):
    async def once():
        context.head = await chain.head()
        await Decider(context).decide_all()

    asyncio.run(once())


def row(context, request_id):
    return context.journal.get(request_id)


# --------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize("kind", list(StepKind))
@pytest.mark.parametrize("mode", list(Mode))
def test_withhold__nothing_staked__stops_what_would_begin_something(kind, mode):
    view = a_view(Status.OPEN)
    step = withhold(Step(kind, "because"), view, OPERATOR, mode, 7)

    begins = {
        StepKind.INFER, StepKind.PROVE, StepKind.DELIVER, StepKind.DELIVER_PROVEN, StepKind.CHALLENGE,
    }  # fmt: skip
    if mode is Mode.OPEN or kind not in begins:
        assert step == Step(kind, "because", NEVER)
    else:
        assert (step.kind, step.until) == (StepKind.WAIT, 7)


@pytest.mark.parametrize("role", ["operator", "challenger"])
@pytest.mark.parametrize("status", [Status.DELIVERED, Status.DISPUTED])
def test_withhold__our_bond_is_at_stake__goes_on(status, role):
    view = a_view(status, **{role: OPERATOR})

    assert withhold(Step(StepKind.PROVE, "x"), view, OPERATOR, Mode.PAUSED, 7).kind is StepKind.PROVE


def test_withhold__others_at_stake__stops():
    view = a_view(Status.DELIVERED, operator=OTHER)

    assert withhold(Step(StepKind.CHALLENGE, "x"), view, OPERATOR, Mode.PAUSED, 7).kind is StepKind.WAIT


# ------------------------------------------------------------------------------------------- the mailbox


def test_orders__given__are_done_in_order_and_answered_once(context, chain, clerk):
    first, second = order(context, OrderKind.PAUSE), order(context, OrderKind.RESUME)
    work(clerk)

    assert (answer(context, first).done, answer(context, second).done) == (True, True)
    assert context.monitor.mode is Mode.OPEN
    assert context.journal.open_orders() == []


def test_pause__requests_waiting__are_left_and_taken_again_after_resume(context, chain, clerk):
    request_id = record(context, chain)
    order(context, OrderKind.PAUSE)
    work(clerk)
    decide(context, chain)
    assert (row(context, request_id).step, row(context, request_id).why) == ("decide", control.PAUSED)

    order(context, OrderKind.RESUME)
    work(clerk)
    decide(context, chain)
    assert row(context, request_id).step == StepKind.INFER.value


def test_pause__delivery_decided_already__is_decided_again(context, chain, clerk):
    request_id = record(context, chain)
    decide(context, chain)
    asyncio.run(Inferrer(context).work())
    decide(context, chain)
    assert row(context, request_id).step == StepKind.DELIVER.value

    order(context, OrderKind.PAUSE)
    work(clerk)
    decide(context, chain)
    assert row(context, request_id).why == control.PAUSED


def test_pause__restart__is_remembered(context, chain, clerk):
    order(context, OrderKind.PAUSE)
    work(clerk)

    assert context.journal.mode() is Mode.PAUSED


def test_drain__something_at_stake__ends_only_when_it_has_settled(context, chain, clerk, ended):
    request_id = record(context, chain)
    decide(context, chain)
    asyncio.run(Inferrer(context).work())
    decide(context, chain)
    asyncio.run(Submitter(context).send_all())
    (attempt,) = context.journal.unresolved()
    context.journal.mark(attempt, AttemptState.CONFIRMED, 1)

    order_id = order(context, OrderKind.DRAIN)
    work(clerk)
    assert not ended
    assert "1 requests" in answer(context, order_id).answer

    chain.views[request_id] = a_view(Status.FINAL, operator=OPERATOR, delivered_at=START)
    context.journal.again(request_id)
    decide(context, chain)
    work(clerk)
    assert ended == [True]


def test_drain__nothing_at_stake__ends_at_once(context, chain, clerk, ended):
    record(context, chain)
    order(context, OrderKind.DRAIN)
    work(clerk)

    assert ended == [True]


def test_replay__poisoned_request__is_tried_again(context, chain, clerk):
    request_id = record(context, chain)
    context.journal.model_failed(request_id, StepKind.INFER, "R-PRV-001: no", TRIES)
    decide(context, chain)
    assert row(context, request_id).step == "decide"

    order_id = order(context, OrderKind.REPLAY, request_id.hex())
    work(clerk)
    decide(context, chain)
    assert answer(context, order_id).done
    assert row(context, request_id).step == StepKind.INFER.value
    assert [entry.what for entry in context.journal.history(request_id)].count("replayed") == 1


def test_replay__request_that_ended__is_open_again_without_what_was_computed(context, chain, clerk):
    request_id = record(context, chain)
    context.journal.answered(request_id, (5,))
    context.journal.decide(row(context, request_id), Step(StepKind.DONE, "FINAL"))
    order(context, OrderKind.REPLAY, request_id.hex())
    work(clerk)

    assert (row(context, request_id).outputs, row(context, request_id).outcome) == (None, None)
    assert context.journal.forget(-1.0) == 0


def test_replay__unknown_request__is_refused_and_says_so(context, clerk):
    order_id = order(context, OrderKind.REPLAY, "ab" * 32)
    work(clerk)

    told = answer(context, order_id)
    assert told.done is False
    assert "no request 0xabab" in told.answer


def test_withdraw__key_of_another_account__is_refused(context, clerk):
    order_id = order(context, OrderKind.WITHDRAW)
    work(clerk)

    assert answer(context, order_id).done is False
    assert OPERATOR in answer(context, order_id).answer


@pytest.fixture
def own(tmp_path, chain):
    """A relayer that signs with the operator's own key."""
    made = make_context(tmp_path / "own", chain)
    object.__setattr__(made.identity, "operator", made.signer.address)
    yield made
    made.journal.close()


def test_withdraw__credit__is_sent_once_and_followed(own, chain):
    request_id = record(own, chain)
    chain.views[request_id] = a_view(Status.FINAL, operator=own.signer.address, delivered_at=START)
    decide(own, chain)
    chain.credit = 7 * ETHER
    clerk = Clerk(own, Submitter(own), lambda: None)

    order_id = order(own, OrderKind.WITHDRAW)
    work(clerk)

    assert answer(own, order_id).done
    assert answer(own, order_id).answer.startswith("7.000000 ether")
    (attempt,) = own.journal.unresolved()
    assert (attempt.action, len(chain.sent)) == ("withdraw", 1)


@pytest.mark.parametrize("credit", [0, ETHER])
def test_withdraw__nothing_earned__is_refused(own, chain, credit):
    chain.credit = credit
    order_id = order(own, OrderKind.WITHDRAW)
    work(Clerk(own, Submitter(own), lambda: None))

    assert answer(own, order_id).done is False
    assert not chain.sent


class SlowSigner:
    """Signs transactions once it is let."""

    def __init__(self, signer):
        self.signer, self.address, self.may = signer, signer.address, asyncio.Event()

    async def sign_transaction(self, transaction):
        await self.may.wait()
        return await self.signer.sign_transaction(transaction)

    async def sign_bundle(self, *arguments):
        return await self.signer.sign_bundle(*arguments)


class BrokenSigner(SlowSigner):
    async def sign_transaction(self, transaction):
        raise SignerUnreachable("down")


def earn(own, chain):
    """The operator has credit, and the journal knows of what."""
    request_id = record(own, chain)
    chain.views[request_id] = a_view(Status.FINAL, operator=own.signer.address, delivered_at=START)
    decide(own, chain)
    chain.credit = ETHER


async def breathe():
    """Let every task get as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def queue_delivery(context, chain, number):
    request_id = record(context, chain, number)
    decide(context, chain)
    asyncio.run(Inferrer(context).work())
    decide(context, chain)
    assert row(context, request_id).step == StepKind.DELIVER.value
    return request_id


def test_withdraw__signed_slowly__shares_its_nonce_with_no_other(own, chain):
    earn(own, chain)
    queue_delivery(own, chain, 1)
    own.signer = SlowSigner(own.signer)
    submitter = Submitter(own)
    order_id = order(own, OrderKind.WITHDRAW)

    async def story():
        working = asyncio.create_task(Clerk(own, submitter, lambda: None).work())
        await breathe()
        following = asyncio.create_task(submitter.follow())
        await breathe()
        sending = asyncio.create_task(submitter.send_all())
        await breathe()
        own.signer.may.set()
        await asyncio.gather(working, following, sending)

    asyncio.run(story())
    assert answer(own, order_id).done
    found = {(each.action, each.nonce) for each in own.journal.unresolved()}
    assert found == {("withdraw", 0), ("deliver", 1)}


def test_pause__delivery_being_made__is_counted_in_the_answer(context, chain, clerk, monkeypatch):
    queue_delivery(context, chain, 0)
    order_id = order(context, OrderKind.PAUSE)

    async def story():
        may = asyncio.Event()
        monkeypatch.setattr(chain, "trial", lambda *_: may.wait())
        sending = asyncio.create_task(clerk._submitter.send_all())
        await breathe()
        working = asyncio.create_task(clerk.work())
        await breathe()
        may.set()
        await asyncio.gather(sending, working)

    asyncio.run(story())
    assert len(chain.sent) == 1
    assert "1 requests that our bond stands behind" in answer(context, order_id).answer


def test_withdraw__signer_down__is_answered_and_frees_the_nonce(own, chain):
    earn(own, chain)
    own.signer = BrokenSigner(own.signer)
    order_id = order(own, OrderKind.WITHDRAW)
    work(Clerk(own, Submitter(own), lambda: None))

    assert answer(own, order_id).done is False
    assert "R-KEY-006" in answer(own, order_id).answer
    assert own.journal.bound() == 0


def test_withdraw__what_earned_is_forgotten__is_refused_but_stays_in_the_sums(own, chain):
    earn(own, chain)
    assert own.journal.forget(-1.0) == 1
    order_id = order(own, OrderKind.WITHDRAW)
    work(Clerk(own, Submitter(own), lambda: None))

    assert "Settlement.withdraw()" in answer(own, order_id).answer
    assert (own.journal.sums().earned, own.journal.sums().ours) == (7, 1)


def test_send_all__paused_in_the_middle_of_a_list__sends_no_more_of_it(context, chain, clerk):
    ids = [queue_delivery(context, chain, number) for number in range(2)]
    submitter = clerk._submitter
    order(context, OrderKind.PAUSE)

    class Slow(SlowSigner):
        async def sign_transaction(self, transaction):
            signed = await super().sign_transaction(transaction)
            asyncio.get_running_loop().create_task(clerk.work())
            await breathe()
            return signed

    context.signer = Slow(context.signer)

    async def story():
        context.signer.may.set()
        await submitter.send_all()
        await clerk.work()

    asyncio.run(story())
    assert len(chain.sent) == 1
    assert {row(context, each).step for each in ids} == {"decide"}


# -------------------------------------------------------------------------------------------- the ledger


def test_ledger__requests_that_ended__are_summed_once_whatever_is_reorganised(own, chain):
    request_id = record(own, chain, provisional=True)
    chain.views[request_id] = a_view(Status.FINAL, operator=own.signer.address, delivered_at=START - 90)
    chain.mine()
    decide(own, chain)
    own.journal.rewind(0)
    decide(own, chain)

    sums = own.journal.sums()
    assert (sums.earned, sums.ours) == (7, 1)
    assert sum(own.journal.gaps()) == 1
    assert own.journal.gaps()[4] == 1


def test_ledger__output_of_another__earns_nothing_and_differs(context, chain):
    request_id = record(context, chain, status=Status.DELIVERED, view={
        "operator": OTHER, "output_hash": b"\7" * 32, "delivered_at": START,
    })  # fmt: skip
    decide(context, chain)
    asyncio.run(Inferrer(context).work())
    decide(context, chain)
    (difference,) = context.journal.divergences()
    assert (difference.operator, difference.output_hash) == (OTHER, b"\7" * 32)
    assert difference.our_hash == tensor_hash((-1,))

    chain.views[request_id] = a_view(Status.FINAL, operator=OTHER, delivered_at=START)
    context.journal.again(request_id)
    decide(context, chain)
    assert context.journal.sums().earned == 0
    assert context.journal.last_earner() is None


def test_bookkeeper__confirmed_transaction__is_entered_once_with_its_price(context, chain):
    record(context, chain)
    decide(context, chain)
    asyncio.run(Inferrer(context).work())
    decide(context, chain)
    asyncio.run(Submitter(context).send_all())
    (attempt,) = context.journal.unresolved()
    chain.receipts[attempt.tx_hash] = TransactionReceipt(chain.blocks[-1], True, 50_000, 3)
    context.journal.mark(attempt, AttemptState.CONFIRMED, 1)

    for _ in range(2):
        asyncio.run(Bookkeeper(context).look())

    (cost,) = context.journal.costs()
    assert (cost.gas, cost.wei, cost.action, cost.success) == (50_000, 150_000, "deliver", True)
    assert context.journal.sums().spent == 150_000
    assert context.monitor.funds.bond == chain.bond
    text = context.metrics.text().decode()
    assert "foretell_relay_spent_gas 50000.0" in text
    assert "foretell_relay_bound_requests 1.0" in text
