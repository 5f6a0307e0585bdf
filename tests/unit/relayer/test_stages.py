import asyncio

import pytest

from foretell_relayer.core import Status, StepKind
from foretell_relayer.models.errors import BadFolder
from foretell_relayer.prove.errors import ChildCrashed, EzklRefused, InvalidProof
from foretell_relayer.records import BlockRef
from foretell_relayer.stages import TRIES, Decider, Inferrer, ProofMaker
from foretell_spec.tensor import tensor_hash
from tests.kit.relay import OPERATOR, OTHER, START, FakeChain, a_view, make_context, make_found

OUTPUTS = (-1,)


@pytest.fixture
def chain():
    return FakeChain()


@pytest.fixture
def context(tmp_path, chain):
    made = make_context(tmp_path, chain)
    yield made
    made.journal.close()


def record(context, chain, status=Status.OPEN, number=0, view=None, **overrides):
    found = make_found(number, **overrides)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    chain.views[found.request_id] = a_view(status, **(view or {}))
    return found.request_id


def decide(context, chain):
    async def once():
        context.head = await chain.head()
        await Decider(context).decide_all()

    asyncio.run(once())


def work(stage):
    asyncio.run(stage.work())


def step_of(context, request_id):
    return context.journal.get(request_id).step


def test_decide__new_request__goes_to_the_model(context, chain):
    request_id = record(context, chain)
    decide(context, chain)

    assert step_of(context, request_id) == StepKind.INFER.value


def test_stages__one_after_another__end_in_a_proven_delivery(context, chain):
    request_id = record(context, chain, value_at_risk=1000 * 10**18)
    for stage in (Inferrer(context), ProofMaker(context)):
        decide(context, chain)
        work(stage)
    decide(context, chain)

    row = context.journal.get(request_id)
    assert (row.step, row.outputs, row.proof) == (StepKind.DELIVER_PROVEN.value, OUTPUTS, b"proof")


def test_decide__wrong_output_of_another__is_challenged_and_counted(context, chain):
    view = {"operator": OTHER, "output_hash": b"\x09" * 32, "delivered_at": START}
    request_id = record(context, chain, Status.DELIVERED, view=view)
    decide(context, chain)
    work(Inferrer(context))
    decide(context, chain)

    assert step_of(context, request_id) == StepKind.CHALLENGE.value
    assert context.metrics.divergences._value.get() == 1


def test_decide__same_output_of_another__waits(context, chain):
    view = {"operator": OTHER, "output_hash": tensor_hash(OUTPUTS), "delivered_at": START}
    request_id = record(context, chain, Status.DELIVERED, view=view)
    decide(context, chain)
    work(Inferrer(context))
    decide(context, chain)

    assert context.journal.get(request_id).why == "another operator delivered the same output"


def test_decide__final__is_done(context, chain):
    request_id = record(context, chain, Status.FINAL, view={"operator": OPERATOR})
    decide(context, chain)

    assert context.journal.get(request_id).outcome == "final"


def test_decide__final_in_a_young_block_only__waits_for_confirmations(tmp_path, chain):
    context = make_context(tmp_path / "deep", chain, confirmations=3)
    request_id = record(context, chain, Status.FINAL)
    chain.mine(5)
    newest, asked = chain.views[request_id], []

    async def view(request_id, since, block=None):
        asked.append(block)
        return newest if block is None else a_view(Status.DELIVERED)

    chain.view = view
    decide(context, chain)
    assert context.journal.get(request_id).outcome is None
    assert asked == [None, 3]

    async def view_everywhere(request_id, since, block=None):
        return newest

    chain.view = view_everywhere
    chain.mine()
    decide(context, chain)
    assert context.journal.get(request_id).outcome == "final"


def test_decide__model_that_is_not_served_any_longer__waits(context, chain):
    request_id = record(context, chain, model_id=b"\x11" * 32)
    decide(context, chain)

    assert "not served" in context.journal.get(request_id).why


@pytest.mark.parametrize("error", [EzklRefused("no"), BadFolder("no")])
def test_infer__lasting_error__gives_the_request_up_at_once(context, chain, error):
    request_id = record(context, chain)
    context.models.fail = [error]
    decide(context, chain)
    work(Inferrer(context))
    decide(context, chain)

    row = context.journal.get(request_id)
    assert (row.infer_failures, row.step, row.wake_at) == (TRIES, "decide", row.found.deadline + 1)


def test_infer__passing_error__tries_again_but_not_for_ever(context, chain):
    request_id = record(context, chain)
    context.models.fail = [ChildCrashed("killed")] * 10
    for _ in range(TRIES):
        assert context.journal.get(request_id).infer_failures < TRIES
        decide(context, chain)
        work(Inferrer(context))
    decide(context, chain)

    assert context.journal.get(request_id).infer_failures == TRIES
    assert len(context.models.fail) == 10 - TRIES


def test_infer__poison__does_not_hold_up_the_next(context, chain):
    record(context, chain, number=0)
    second = record(context, chain, number=1)
    context.models.fail = [EzklRefused("no")]
    decide(context, chain)
    work(Inferrer(context))

    assert context.journal.get(second).outputs == OUTPUTS


def test_prove__keys_that_were_damaged__are_tried_again_after_they_were_made_again(context, chain):
    request_id = record(context, chain, value_at_risk=1000 * 10**18)
    decide(context, chain)
    work(Inferrer(context))
    context.models.fail = [InvalidProof("damaged key")]
    decide(context, chain)
    work(ProofMaker(context))
    assert context.journal.get(request_id).prove_failures == 1

    decide(context, chain)
    work(ProofMaker(context))
    assert context.journal.get(request_id).proof == b"proof"


@pytest.mark.parametrize("status", [Status.OPEN, Status.DELIVERED])
def test_decide__no_funds__takes_no_new_work_but_watches_others(context, chain, status):
    request_id = record(context, chain, status, view={"operator": OTHER, "delivered_at": START})
    chain.wealth = 0
    decide(context, chain)

    wanted = "decide" if status is Status.OPEN else StepKind.INFER.value
    assert step_of(context, request_id) == wanted
