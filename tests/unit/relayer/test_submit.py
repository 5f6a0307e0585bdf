import asyncio
import time

import pytest
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils import keccak
from hexbytes import HexBytes

from foretell_relayer.core import Step, StepKind
from foretell_relayer.errors import FeeTooHigh, RpcRefused, RpcUnreachable, SignerUnreachable, WouldRevert
from foretell_relayer.records import AttemptState, BlockRef
from foretell_relayer.submit import follower, sender
from foretell_relayer.submit.calls import LOST_RACES, REJECTIONS, build
from foretell_relayer.submit.fees import Fees, bump, suggest
from foretell_relayer.submit.follower import MISSES, NOOP
from foretell_relayer.submit.submitter import Submitter
from foretell_spec.bundle import Bundle
from tests.kit.anvil import ROOT
from tests.kit.relay import (
    CHAIN_ID,
    DELIVERY,
    MODEL_ID,
    OPERATOR,
    REQUEST,
    SETTLEMENT,
    FakeChain,
    make_context,
    make_found,
)

OUTPUTS = (-1,)
PROOF = b"proof"


@pytest.fixture
def chain():
    return FakeChain()


@pytest.fixture
def context(tmp_path, chain):
    made = make_context(tmp_path, chain)
    made.head = asyncio.run(chain.head())
    yield made
    made.journal.close()


@pytest.fixture
def submitter(context):
    return Submitter(context)


def queue(context, kind=StepKind.DELIVER, number=0, proof=PROOF):
    """A request that stands in the queue of a transaction."""
    found = make_found(number)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    context.journal.answered(found.request_id, OUTPUTS)
    if proof:
        context.journal.proven(found.request_id, proof)
    context.journal.decide(context.journal.get(found.request_id), Step(kind, "a reason"))
    return found.request_id


def tick(submitter, chain):
    """One round of the submitter's loop, at the newest block."""

    async def once():
        submitter._context.head = await chain.head()
        await submitter.follow()
        await submitter.send_all()

    asyncio.run(once())


def states(context, request_id):
    return [attempt.state for attempt in context.journal.attempts(request_id)]


def fields(raw):
    return TypedTransaction.from_bytes(HexBytes(raw)).as_dict()


def age(monkeypatch, seconds):
    """Let the submitter's clock run ahead."""
    now = time.time
    monkeypatch.setattr(follower.time, "time", lambda: now() + seconds)


def test_send__in_the_queue__is_journalled_sent_and_included(submitter, chain, context):
    request_id = queue(context)
    tick(submitter, chain)
    (attempt,) = context.journal.attempts(request_id)
    assert (attempt.state, attempt.nonce, chain.sent) == (AttemptState.SENT, 0, [attempt.raw])

    chain.include(attempt.tx_hash)
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.CONFIRMED]
    assert context.journal.get(request_id).step == "decide"


def test_send__transaction__calls_settlement_on_this_chain_and_pays_a_bounded_fee(submitter, chain, context):
    queue(context)
    tick(submitter, chain)

    sent = fields(chain.sent[0])
    assert (sent["to"], sent["chainId"], sent["value"]) == (bytes.fromhex(SETTLEMENT[2:]), CHAIN_ID, 0)
    assert sent["data"] == b"deliver"
    assert sent["gas"] == sender.AMPLE
    assert sent["maxFeePerGas"] == 2 * chain.base_fee + context.settings.tip
    assert Account.recover_transaction(chain.sent[0]) == context.signer.address


@pytest.mark.parametrize("why", ["poor", "trial needs more gas", "node has a lower limit"])
def test_send__ample_limit_does_not_do__estimates(submitter, chain, context, why):
    queue(context, StepKind.SUBMIT_PROOF)
    if why == "poor":
        chain.wealth = 10**12
    else:
        error = WouldRevert("verifier: out of gas") if "more" in why else RpcRefused("gas limit too high")
        chain.fail["simulate"] = [error]
    tick(submitter, chain)

    assert fields(chain.sent[0])["gas"] == chain.gas * 1.2 + 20_000


def test_send__on_its_way__is_not_sent_twice(submitter, chain, context):
    request_id = queue(context)
    tick(submitter, chain)
    context.journal.again(request_id)
    context.journal.decide(context.journal.get(request_id), Step(StepKind.DELIVER, "a reason"))
    tick(submitter, chain)

    assert len(chain.sent) == 1


def test_send__several__get_consecutive_nonces(submitter, chain, context):
    for number in range(3):
        queue(context, number=number)
    tick(submitter, chain)

    assert [fields(raw)["nonce"] for raw in chain.sent] == [0, 1, 2]


@pytest.mark.parametrize("reason", ["settlement: request not open", "operators: free bond too small"])
def test_send__would_revert__sends_nothing_and_decides_again_later(submitter, chain, context, reason):
    request_id = queue(context)
    chain.fail["simulate"] = [WouldRevert(reason)]
    tick(submitter, chain)

    assert chain.sent == []
    row = context.journal.get(request_id)
    assert (row.step, row.failures) == ("decide", 1)
    told = context.journal.history(request_id)[-1]
    assert told.what == ("lost_race" if reason in LOST_RACES else "not_sent")
    assert reason in told.detail


def test_send__one_poisonous_request__does_not_hold_up_the_next(submitter, chain, context):
    queue(context, number=0)
    queue(context, number=1)
    chain.fail["simulate"] = [RpcRefused("out of gas")] * 2
    tick(submitter, chain)

    assert len(chain.sent) == 1


def test_send__proof_that_the_verifier_rejects__is_made_again_but_not_for_ever(submitter, chain, context):
    request_id = queue(context, StepKind.SUBMIT_PROOF)
    for failures in (1, 2):
        chain.fail["simulate"] = [WouldRevert("verifier: proof rejected")]
        tick(submitter, chain)
        row = context.journal.get(request_id)
        assert (row.proof, row.prove_failures, row.step) == (None, failures, "decide")

        context.journal.proven(request_id, PROOF)
        context.journal.decide(context.journal.get(request_id), Step(StepKind.SUBMIT_PROOF, "a reason"))
    assert chain.sent == []


def test_send__base_fee_over_the_ceiling__waits(submitter, chain, context):
    request_id = queue(context)
    chain.base_fee = context.settings.max_fee + 1
    tick(submitter, chain)

    assert chain.sent == []
    assert "ceiling" in context.journal.history(request_id)[-1].detail


def test_send__answer_lost__is_unknown_and_found_in_its_block(submitter, chain, context):
    request_id = queue(context)
    chain.fail["send"] = [RpcUnreachable("reset")]
    with pytest.raises(RpcUnreachable):
        tick(submitter, chain)
    (attempt,) = context.journal.attempts(request_id)
    assert attempt.state is AttemptState.SIGNED

    chain.include(attempt.tx_hash)
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.CONFIRMED]
    assert len(chain.sent) == 1


def test_send__answer_lost_and_never_arrived__sends_the_same_again(submitter, chain, context):
    queue(context)
    chain.fail["send"] = [RpcUnreachable("reset")]
    with pytest.raises(RpcUnreachable):
        tick(submitter, chain)
    tick(submitter, chain)

    assert chain.sent == [chain.sent[0]] * 2


@pytest.mark.parametrize("text", ["already known", "nonce too low", "internal error"])
def test_send__node_unclear__never_counts_as_failed(submitter, chain, context, text):
    request_id = queue(context)
    chain.fail["send"] = [RpcRefused(text)]
    tick(submitter, chain)

    assert context.journal.has_pending(request_id)


@pytest.mark.parametrize("text", ["insufficient funds for gas * price + value", "intrinsic gas too low"])
def test_send__node_refuses_for_good__frees_the_nonce_and_tries_later(submitter, chain, context, text):
    request_id = queue(context)
    chain.fail["send"] = [RpcRefused(text)]
    tick(submitter, chain)

    assert states(context, request_id) == [AttemptState.REFUSED]
    row = context.journal.get(request_id)
    assert (row.step, row.failures) == ("decide", 1)
    queue(context, number=1)
    tick(submitter, chain)
    assert fields(chain.sent[-1])["nonce"] == 0


def test_follow__reverted__decides_again_and_remembers(submitter, chain, context):
    request_id = queue(context)
    tick(submitter, chain)
    chain.include(context.journal.attempts(request_id)[0].tx_hash, success=False)
    tick(submitter, chain)

    assert states(context, request_id) == [AttemptState.REVERTED]
    assert context.journal.get(request_id).step == "decide"


def test_follow__shallow_block__is_not_final_and_may_come_back(tmp_path, chain):
    context = make_context(tmp_path / "deep", chain, confirmations=3)
    submitter = Submitter(context)
    request_id = queue(context)
    tick(submitter, chain)
    (attempt,) = context.journal.attempts(request_id)
    chain.include(attempt.tx_hash)
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.INCLUDED]

    del chain.receipts[attempt.tx_hash]
    chain.used, chain.pool = 0, set()
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.SENT]
    assert chain.sent == [attempt.raw] * 2

    chain.include(attempt.tx_hash)
    chain.mine(2)
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.CONFIRMED]


def test_follow__nonce_used_by_somebody_else__says_so_only_after_several_looks(submitter, chain, context):
    request_id = queue(context)
    tick(submitter, chain)
    chain.used = 1
    for _ in range(MISSES - 1):
        tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.SENT]

    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.LOST]
    assert context.journal.get(request_id).step == "decide"


def test_follow__waits_too_long__offers_more_for_the_same_nonce(submitter, chain, context, monkeypatch):
    request_id = queue(context)
    tick(submitter, chain)
    age(monkeypatch, context.settings.bump_after + 1)
    tick(submitter, chain)

    first, second = (fields(raw) for raw in chain.sent)
    assert (second["nonce"], second["data"]) == (first["nonce"], first["data"])
    assert second["maxFeePerGas"] >= first["maxFeePerGas"] * 1.125
    assert second["maxPriorityFeePerGas"] >= first["maxPriorityFeePerGas"] * 1.125
    newest = context.journal.attempts(request_id)[-1]
    chain.include(newest.tx_hash)
    tick(submitter, chain)
    assert sorted(state.value for state in states(context, request_id)) == ["confirmed", "replaced"]


def test_follow__became_pointless_while_it_waited__frees_the_nonce(submitter, chain, context, monkeypatch):
    request_id = queue(context)
    tick(submitter, chain)
    age(monkeypatch, context.settings.bump_after + 1)
    chain.fail["simulate"] = [WouldRevert("settlement: request not open")]
    tick(submitter, chain)

    replacement = fields(chain.sent[-1])
    assert (replacement["data"], replacement["value"], replacement["gas"]) == (b"", 0, 21_000)
    assert context.journal.attempts(request_id)[-1].action == NOOP


def test_follow__fee_ceiling_reached__leaves_it_alone(submitter, chain, context, monkeypatch):
    queue(context)
    chain.base_fee = context.settings.max_fee // 2
    tick(submitter, chain)
    age(monkeypatch, context.settings.bump_after + 1)
    tick(submitter, chain)

    assert len(chain.sent) == 1


def test_follow__gap_below__is_filled(submitter, chain, context):
    chain.used = 5
    request_id = queue(context)
    tick(submitter, chain)
    chain.used = 2  # a reorganisation took confirmed transactions away
    for _ in range(MISSES - 1):
        tick(submitter, chain)
    assert len(chain.sent) == 1
    tick(submitter, chain)

    assert [fields(raw)["nonce"] for raw in chain.sent] == [5, 2, 3, 4]
    assert {attempt.action for attempt in context.journal.attempts(request_id)} == {"deliver", NOOP}


def test_follow__gap_for_a_moment__is_left_alone(submitter, chain, context):
    chain.used = 5
    queue(context)
    tick(submitter, chain)
    for _ in range(MISSES):
        chain.used = 4
        tick(submitter, chain)
        chain.used = 5
        tick(submitter, chain)

    assert len(chain.sent) == 1


class SignerThatFails:
    """A signer that is down: it signs bundles, and no transaction."""

    def __init__(self, signer):
        self.signer, self.address = signer, signer.address

    async def sign_bundle(self, *arguments):
        return await self.signer.sign_bundle(*arguments)

    async def sign_transaction(self, transaction):
        raise SignerUnreachable("down")


def test_send__signer_down__sends_nothing_and_frees_the_nonce(submitter, chain, context):
    request_id = queue(context)
    good, context.signer = context.signer, SignerThatFails(context.signer)
    tick(submitter, chain)
    assert (chain.sent, context.journal.has_pending(request_id)) == ([], False)
    assert "R-KEY-006" in context.journal.history(request_id)[-1].detail

    context.signer = good
    context.journal.again(request_id)
    context.journal.decide(context.journal.get(request_id), Step(StepKind.DELIVER, "a reason"))
    tick(submitter, chain)
    assert [fields(raw)["nonce"] for raw in chain.sent] == [0]


def test_follow__signer_down_when_a_bump_is_due__keeps_the_old_one(submitter, chain, context, monkeypatch):
    request_id = queue(context)
    tick(submitter, chain)
    age(monkeypatch, context.settings.bump_after + 1)
    context.signer = SignerThatFails(context.signer)
    tick(submitter, chain)

    assert states(context, request_id) == [AttemptState.SENT]


def test_follow__base_fee_over_the_ceiling__keeps_following(submitter, chain, context, monkeypatch):
    request_id = queue(context)
    tick(submitter, chain)
    age(monkeypatch, context.settings.bump_after + 1)
    chain.base_fee = context.settings.max_fee + 1
    tick(submitter, chain)
    assert len(chain.sent) == 1

    chain.include(context.journal.attempts(request_id)[0].tx_hash)
    tick(submitter, chain)
    assert states(context, request_id) == [AttemptState.CONFIRMED]


def test_follow__clock_set_back__still_offers_more(submitter, chain, context, monkeypatch):
    queue(context)
    tick(submitter, chain)
    age(monkeypatch, -3600)
    tick(submitter, chain)

    assert len(chain.sent) == 2


def test_build__each_step__has_the_arguments_of_its_function(context):
    request_id = queue(context)
    row = context.journal.get(request_id)
    bundle = Bundle(request_id, MODEL_ID, row.found.inputs, OUTPUTS, OPERATOR)
    signature = asyncio.run(context.signer.sign_bundle(bundle, CHAIN_ID, SETTLEMENT))

    def arguments(kind):
        call = asyncio.run(build(row, kind, context.signer, context.identity, (REQUEST, DELIVERY)))
        return call.function, *call.arguments

    inputs = row.found.inputs
    request, delivery = REQUEST.words(), DELIVERY.words()
    known = (request, delivery)
    assert arguments(StepKind.DELIVER) == ("deliver", request, OUTPUTS, OPERATOR, signature)
    assert arguments(StepKind.CHALLENGE) == ("challenge", *known, OUTPUTS, OPERATOR, signature)
    assert arguments(StepKind.SUBMIT_PROOF) == ("prove", *known, inputs, OUTPUTS, PROOF)
    assert arguments(StepKind.FINALISE) == ("finalise", *known, OUTPUTS)
    assert arguments(StepKind.EXPIRE) == ("expire", *known)
    proven = ("deliver_proven", request, inputs, OUTPUTS, OPERATOR, signature, PROOF)
    assert arguments(StepKind.DELIVER_PROVEN) == proven


@pytest.mark.parametrize("kind", [StepKind.SUBMIT_PROOF, StepKind.DELIVER_PROVEN])
def test_build__proof_is_gone__builds_nothing(context, kind):
    row = context.journal.get(queue(context, proof=None))

    assert asyncio.run(build(row, kind, context.signer, context.identity, (REQUEST, DELIVERY))) is None


@pytest.mark.parametrize(
    ("reasons", "sources"),
    [
        (LOST_RACES, ("Settlement.vy", "Disputes.vy", "lib/outcomes.vy")),
        (REJECTIONS, ("verifiers/CircuitVerifier.vy",)),
    ],
)
def test_reasons__that_have_a_meaning_here__are_those_of_the_contract(reasons, sources):
    text = "".join((ROOT / "contracts" / source).read_text() for source in sources)

    assert [reason for reason in reasons if f'"{reason}"' not in text] == []


def test_suggest__normal__covers_two_doublings_and_stays_under_the_ceiling():
    assert suggest(100, 5, 10_000) == Fees(205, 5)
    assert suggest(100, 5, 150) == Fees(150, 5)
    with pytest.raises(FeeTooHigh):
        suggest(151, 5, 150)


def test_bump__enough_for_every_node__or_not_at_all():
    assert bump(Fees(100, 10), Fees(50, 1), 1_000) == Fees(113, 12)
    assert bump(Fees(100, 10), Fees(500, 20), 1_000) == Fees(500, 20)
    assert bump(Fees(0, 0), Fees(0, 0), 10) == Fees(1, 1)
    assert bump(Fees(100, 10), Fees(50, 1), 112) is None


def test_send__hash__is_that_of_the_raw_transaction(submitter, chain, context):
    request_id = queue(context)
    tick(submitter, chain)

    assert context.journal.attempts(request_id)[0].tx_hash == keccak(chain.sent[0])
