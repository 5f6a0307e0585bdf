"""Structs of Settlement from its events; the contracts' tests compare them with what is stored."""

import pytest

from foretell_spec.addresses import PRECOMPILE, SETTLEMENT, ZERO_ADDRESS
from foretell_spec.errors import SpecError
from foretell_spec.settlement import ZERO_HASH, Delivery, Request, inputs_of
from foretell_spec.tensor import WAD, tensor_hash
from foretell_spec.terms import Terms
from scripts.build_vectors import example_manifest

TERMS = Terms.of(example_manifest())
ASKED = {
    "requester": PRECOMPILE,
    "nonce": 1,
    "model_id": b"\1" * 32,
    "inputs": [WAD, -WAD],
    "terms": TERMS.word,
    "policy": {
        "min_assurance": 1,
        "provisional": True,
        "callback_gas": 2,
        "deadline": 3,
        "value_at_risk": 4,
    },
    "fee": 5,
    "created_at": 6,
}
DELIVERED = ("Delivered", {"operator": SETTLEMENT, "outputs_q": [7], "delivered_at": 8})
CHALLENGED = ("Challenged", {"operator": PRECOMPILE, "outputs_q": [9], "disputed_at": 10})
FINALISED = ("Finalised", {"operator": PRECOMPILE, "output_hash": tensor_hash((9,))})


def reversal(right: bytes) -> tuple[str, dict[str, object]]:
    return "Reversed", {"right_output_hash": right, "compensation": 11}


def test_request__asked__has_the_quantised_inputs():
    request = Request.from_event("Requested", ASKED)

    assert inputs_of(ASKED) == (1 << TERMS.input_scale, -1 << TERMS.input_scale)
    assert request.input_hash == tensor_hash(inputs_of(ASKED))
    assert (request.nonce, request.policy.value_at_risk, request.from_receipt) == (1, 4, False)


def test_request__another_event__is_refused():
    with pytest.raises(SpecError):
        Request.from_event("Delivered", ASKED)


def test_request__inputs_of_another_form__are_refused():
    with pytest.raises(SpecError):
        Request.from_event("Requested", {**ASKED, "inputs": [WAD * 2**110]})


def test_delivery__fee_raised_before__is_kept():
    raised = [("FeeRaised", {"amount": 2}), ("FeeRaised", {"amount": 3})]

    assert Delivery.from_events([*raised, DELIVERED]).raised_fee == 5


def test_delivery__overturned__is_the_challengers():
    story = [DELIVERED, CHALLENGED, FINALISED, reversal(tensor_hash((9,)))]
    delivery = Delivery.from_events(story)

    assert (delivery.operator, delivery.output_hash) == (PRECOMPILE, tensor_hash((9,)))
    assert (delivery.challenger, delivery.disputed_at, delivery.compensation) == (PRECOMPILE, 10, 11)


def test_delivery__undetermined__is_nobodys():
    delivery = Delivery.from_events([DELIVERED, CHALLENGED, ("Undetermined", {}), reversal(ZERO_HASH)])

    assert (delivery.operator, delivery.output_hash) == (ZERO_ADDRESS, ZERO_HASH)
    assert delivery.delivered_at == 8


def test_delivery__events_of_no_effect__are_passed_over():
    assert Delivery.from_events([DELIVERED, ("FeePaid", {}), ("Slashed", {})]) == Delivery.from_events(
        [DELIVERED]
    )
