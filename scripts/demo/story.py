"""Three acts: a proven answer, an insured one that is proven later, and a lie."""

import time

from web3.types import TxReceipt

from foretell_spec.assurance import Assurance
from foretell_spec.tensor import Tensor
from scripts.demo.consumers import Consumer, Question
from scripts.demo.stage import BOND, ETHER, Stage, StageError
from scripts.demo.timeline import Act, Timeline, Tone

MOST_DRAWS = 40


def tell(stage: Stage, consumer: Consumer, timeline: Timeline) -> None:
    """Play all acts.

    Raises:
        StageError: something did not happen in time.
    """
    _proven(stage, consumer, timeline)
    _proven_later(stage, consumer, timeline)
    _lie(stage, consumer, timeline)


def _proven(stage: Stage, consumer: Consumer, timeline: Timeline) -> None:
    setting = consumer.to_calm()
    question = consumer.question(Assurance.PROVEN)
    with timeline.act(consumer.acts[0]) as act:
        timeline.tell("input", setting)
        transaction = _ask(stage, question, timeline)
        timeline.tell("mempool", "the transaction waits outside blocks for its proof")
        seconds = stage.plain_transfer()
        timeline.tell(
            "chain", f"does not wait: a plain transfer sent now is in a block {1000 * seconds:.0f} ms later"
        )
        with timeline.waiting("Olive proves ..."):
            receipt = stage.receipt(transaction)
        proof = stage.bundle_of(receipt).proof
        timeline.tell("Olive", f"has run the model once, and proved it: {len(proof):,} bytes")
        _taken(consumer, timeline, receipt, "PROVEN", Tone.GOOD)
        _followed(stage, timeline)
        act.gap = 0


def _proven_later(stage: Stage, consumer: Consumer, timeline: Timeline) -> None:
    setting = consumer.to_storm()
    question = consumer.question(Assurance.SIGNED)
    with timeline.act(consumer.acts[1]) as act:
        timeline.tell("input", setting)
        receipt = stage.receipt(_ask(stage, question, timeline))
        used = time.monotonic()
        _taken(consumer, timeline, receipt, "SIGNED", Tone.WAIT)
        _insured(stage, timeline, receipt)
        with timeline.waiting("Olive's relayer proves ..."):
            _settled(stage, timeline, receipt, act, used)
        _followed(stage, timeline)


def _lie(stage: Stage, consumer: Consumer, timeline: Timeline) -> None:
    mallory = stage.add_mallory(consumer.lie)
    setting = _until_drawn(stage, consumer, mallory.address)
    question = consumer.question(Assurance.SIGNED)
    with timeline.act(consumer.acts[2]) as act:
        timeline.tell("input", setting)
        timeline.tell("Mallory", f"has bonded {BOND // ETHER} ether too, and is drawn for this input")
        receipt = stage.receipt(_ask(stage, question, timeline))
        used = time.monotonic()
        _taken(consumer, timeline, receipt, "SIGNED", Tone.BAD)
        _insured(stage, timeline, receipt)
        with timeline.waiting("Olive's relayer challenges and proves ..."):
            truth = _settled(stage, timeline, receipt, act, used)
        said, collected = consumer.make_whole(receipt, truth)
        timeline.tell("contract", said, gas=collected["gasUsed"], tone=Tone.GOOD)
        _followed(stage, timeline)


def _until_drawn(stage: Stage, consumer: Consumer, operator: str) -> str:
    """Go on from input to input until the draw, which nobody can choose, falls on ``operator``."""
    for _ in range(MOST_DRAWS):
        setting = consumer.to_next()
        if stage.drawn(consumer.inputs()) == operator:
            return setting
    raise StageError(f"in {MOST_DRAWS} draws the operator was not drawn; run it again")


def _ask(stage: Stage, question: Question, timeline: Timeline) -> bytes:
    transaction = stage.send(stage.account(1), question.call, question.wei)
    timeline.tell(question.who, question.says)
    return transaction


def _taken(consumer: Consumer, timeline: Timeline, receipt: TxReceipt, assurance: str, tone: Tone) -> None:
    block = f"block {receipt['blockNumber']}: {consumer.outcome(receipt)}"
    timeline.tell("contract", block, gas=receipt["gasUsed"], assurance=assurance, tone=tone)


def _insured(stage: Stage, timeline: Timeline, receipt: TxReceipt) -> None:
    (event,) = stage.opened(receipt)
    at_risk = event["args"]["value_at_risk"] / ETHER
    timeline.tell("bond", f"{at_risk:.3f} ether of the operator's bond stand behind it until it is final")


def _settled(stage: Stage, timeline: Timeline, receipt: TxReceipt, act: Act, used: float) -> Tensor:
    """Tell what Settlement says of the request; the proven output."""
    (opened,) = stage.opened(receipt)
    request, told = opened["args"]["request_id"], set[bytes]()
    truth: Tensor = ()
    for event, gas in stage.follow(request, receipt["blockNumber"]):
        name, args = event["event"], event["args"]
        # A transaction's gas is told once, with its first event.
        cost = None if event["transactionHash"] in told else gas
        if name == "Challenged":
            timeline.tell("Olive", "challenges with what the model says, and a bond of her own", gas=cost)
        elif name == "Proven":
            truth = tuple(args["outputs_q"])
            timeline.tell(
                "Olive", "posts a proof; the verifier contract accepts it", gas=cost, assurance="PROVEN"
            )
        elif name == "Finalised":
            act.gap = time.monotonic() - used
            timeline.tell("chain", "the proven output is final", assurance="FINAL", tone=Tone.GOOD)
        elif name == "Slashed":
            amount, to = args["amount"] / ETHER, stage.name(args["to"])
            timeline.tell("Mallory", f"is slashed {amount:.3f} ether, for {to}", tone=Tone.BAD)
        else:
            continue
        told.add(event["transactionHash"])
    return truth


def _followed(stage: Stage, timeline: Timeline) -> None:
    count = stage.follow_chain()
    timeline.tell(
        "full node", f"imports {count} blocks and their sidecars, checks all evidence, runs no model"
    )
