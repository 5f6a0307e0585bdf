import ast
import inspect

import pytest

from foretell_relayer import core, stages
from foretell_relayer.core import CLOSED, Status
from foretell_relayer.errors import FeeTooHigh
from foretell_relayer.journal.ledger import BUCKETS, histogram, trust_gap
from foretell_relayer.operate import control, reasons, story
from foretell_relayer.operate.errors import OrderRefused
from foretell_relayer.operate.reasons import EXPLANATIONS, explain
from foretell_relayer.records import BlockRef
from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit.relay import OPERATOR, START, a_view, make_context, make_found


@pytest.fixture
def context(tmp_path):
    made = make_context(tmp_path)
    yield made
    made.journal.close()


def record(context, number=0):
    found = make_found(number)
    context.journal.record([found], [], BlockRef(1, b"\1" * 32))
    return context.journal.get(found.request_id)


def texts_of(module):
    """Every text that a module gives as the reason of a step."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Step", "_prove"):
            for argument in node.args:
                branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
                yield from (each.value for each in branches if isinstance(each, ast.Constant))


def test_reasons__of_the_code__are_all_explained():
    given = {text for module in (core, stages) for text in texts_of(module) if isinstance(text, str)}
    assert len(given) > 20
    given |= {control.PAUSED, control.DRAINING, "", *(status.name for status in CLOSED)}

    assert given == {each.text for each in EXPLANATIONS}


def test_reasons__codes_and_texts__are_unique():
    assert len({each.code for each in EXPLANATIONS}) == len({each.text for each in EXPLANATIONS})
    assert len(EXPLANATIONS) == len({each.code for each in EXPLANATIONS})


@pytest.mark.parametrize(
    ("why", "code"),
    [
        ("a proof was promised", "Q-OWN-001"),
        ("a proof was promised; it is ready", "Q-OWN-001"),
        ("FINAL, not confirmed yet", "Q-END-001"),
        ("R-SUB-005: the last 5 requests failed here", "Q-NEW-014"),
        ("something else", "Q-UNK-001"),
    ],
)
def test_explain__text_of_the_journal__has_its_code(why, code):
    assert explain(why).code == code


def test_explain__error_that_keeps_work_out__gives_its_hint():
    assert explain("R-SUB-003: gas is dear").remedy == FeeTooHigh.hint


def test_find__beginning_of_an_id__is_the_request(context):
    row = record(context)
    other = record(context, 1)

    assert story.find(context.journal, row.label[:10]).request_id == row.request_id
    assert story.find(context.journal, other.label).request_id == other.request_id


@pytest.mark.parametrize("prefix", ["0x", "12", "0xzzzz", "'; drop", "0x" + "12" * 40])
def test_find__none_or_no_id__says_so(context, prefix):
    record(context)

    with pytest.raises(OrderRefused):
        story.find(context.journal, prefix)


def test_tell__request_that_failed__names_the_error_and_what_to_do(context):
    row = record(context)
    context.journal.later(row.request_id, "not_sent", "R-SUB-003: the base fee is too high", 5)
    told = story.tell(context.journal, context.journal.get(row.request_id))

    assert told.explanation.code == "Q-NEW-001"
    assert told.mishap.text == "R-SUB-003: the base fee is too high"
    assert told.remedy == "Wait, or raise --max-fee-gwei."


def test_tell__since__is_when_the_reason_came(context):
    row = record(context)
    context.journal.decide(row, core.Step(core.StepKind.WAIT, "the challenge window is open", 5))
    context.journal.later(row.request_id, "not_sent", "R-RPC-001: down", 5)
    told = story.tell(context.journal, context.journal.get(row.request_id))

    assert told.since == next(e.at for e in told.history if e.what == "wait")
    assert told.remedy != reasons.NOTHING


@pytest.mark.parametrize(
    ("early", "operator", "delivered_at", "gap"),
    [(True, OPERATOR, START, 30), (False, OPERATOR, START, 0), (True, ZERO_ADDRESS, 0, None)],
)
def test_trust_gap__shown_early__runs_from_delivery_to_the_end(early, operator, delivered_at, gap):
    facts = make_found(provisional=early).facts(3600, 3600)
    view = a_view(Status.FINAL, operator=operator, delivered_at=delivered_at)

    assert trust_gap(facts, view, START + 30) == gap


def test_histogram__each_gap__is_in_the_first_bar_that_holds_it():
    bounds = [value for bound in BUCKETS for value in (bound, bound + 1)]
    counts = histogram(bounds)

    assert sum(counts) == len(bounds)
    assert counts[0] == 1
    assert counts[-1] == 1
