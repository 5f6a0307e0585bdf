"""Properties of the specification that hold for every input."""

from contextlib import suppress
from fractions import Fraction
from math import floor

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec import abi, gas
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle, recover_signer
from foretell_spec.divergence import DeterminismClass, Relation, agreed_value, judge
from foretell_spec.errors import CalldataError, SignatureError, TensorError
from foretell_spec.tensor import (
    FIELD_MODULUS,
    QUANTISED_LIMIT,
    WAD,
    WAD_LIMIT,
    dequantise,
    from_felt,
    quantise,
    tensor_hash,
    to_felt,
)

scales = st.integers(0, 18)
wads = st.integers(1 - WAD_LIMIT, WAD_LIMIT - 1)
quantised = st.integers(1 - QUANTISED_LIMIT, QUANTISED_LIMIT - 1)
words = st.binary(min_size=32, max_size=32)
int256s = st.integers(-(2**255), 2**255 - 1)
tensors = st.lists(quantised, max_size=8).map(tuple)


@given(wads, scales)
def test_quantise__is_floor_of_exact_value_plus_a_half(x, scale):
    assert quantise([x], scale)[0] == floor(Fraction(x * 2**scale, WAD) + Fraction(1, 2))


@given(wads, wads, scales)
def test_quantise__is_monotonic(a, b, scale):
    low, high = sorted((a, b))
    assert quantise([low], scale) <= quantise([high], scale)


@given(st.integers(-(2**100), 2**100), scales)
def test_quantise__undoes_dequantise(q, scale):
    assert quantise(dequantise([q], scale), scale) == (q,)


@given(quantised, scales)
def test_dequantise__is_exact(q, scale):
    assert Fraction(dequantise([q], scale)[0], WAD) == Fraction(q, 2**scale)


@given(quantised)
def test_felt__round_trip_is_canonical(q):
    assert 0 <= to_felt(q) < FIELD_MODULUS
    assert from_felt(to_felt(q)) == q


@given(st.integers(QUANTISED_LIMIT, FIELD_MODULUS - QUANTISED_LIMIT))
def test_from_felt__between_the_ranges__raises(felt):
    with pytest.raises(TensorError):
        from_felt(felt)


@given(tensors, tensors)
def test_tensor_hash__differs_for_different_tensors(a, b):
    assert (tensor_hash(a) == tensor_hash(b)) == (a == b)


@given(st.sampled_from(DeterminismClass), tensors, tensors, st.integers(0, 2**255))
def test_judge__is_symmetric(determinism, a, b, tolerance):
    assert judge(determinism, a, b, tolerance) == judge(determinism, b, a, tolerance)


@given(st.sampled_from(DeterminismClass), tensors, st.integers(0, 2**255))
def test_judge__an_output_agrees_with_itself(determinism, a, tolerance):
    assert judge(determinism, a, a, tolerance).relation is Relation.SAME


@given(tensors, tensors, st.integers(0, 2**255))
def test_contradicts__open__never(a, b, tolerance):
    assert not judge(DeterminismClass.OPEN, a, b, tolerance).contradicts


@given(st.sampled_from([c for c in DeterminismClass if c is not DeterminismClass.OPEN]), tensors, tensors)
def test_contradicts__other_classes__where_the_outputs_differ_by_more_than_nothing(determinism, a, b):
    assert judge(determinism, a, b, 0).contradicts == (a != b)


@given(st.lists(st.lists(quantised, min_size=3, max_size=3).map(tuple), min_size=1, max_size=7))
def test_agreed_value__lies_between_the_extremes_and_ignores_order(outputs):
    agreed = agreed_value(outputs)
    assert agreed == agreed_value(outputs[::-1])
    for column, value in zip(zip(*outputs, strict=True), agreed, strict=True):
        assert min(column) <= value <= max(column)


@given(st.lists(tensors, max_size=3).filter(lambda outputs: len({len(o) for o in outputs}) != 1))
def test_agreed_value__nothing_to_agree_on__raises(outputs):
    with pytest.raises(TensorError):
        agreed_value(outputs)


@given(words, st.lists(int256s, max_size=256).map(tuple), st.sampled_from(list(Assurance)[1:]))
def test_native_abi__round_trip(model_id, inputs, assurance):
    call = abi.InferCall(model_id, inputs, assurance)
    assert abi.decode_infer(abi.encode_infer(call)) == call


@given(st.binary(max_size=400), st.sampled_from([b"", abi.INFER]))
def test_native_abi__whatever_decodes_is_canonical_but_for_zeros(tail, selector):
    data = selector + tail
    try:
        call = abi.decode_infer(data)
    except CalldataError:
        return
    assert data.startswith(abi.encode_infer(call))
    assert not any(data[len(abi.encode_infer(call)) :])


@given(words, st.lists(int256s, max_size=255).map(tuple), st.integers(1, 300))
def test_native_abi__zero_words_behind__mean_the_same_for_the_same_gas(model_id, inputs, padding):
    call = abi.InferCall(model_id, inputs, Assurance.SIGNED)
    data = abi.encode_infer(call) + b"\0" * 32 * padding
    assert gas.required_gas(data) == gas.required_gas(abi.encode_infer(call))
    if len(data) <= abi.MAX_INFER_BYTES:
        assert abi.decode_infer(data) == call
    else:
        with pytest.raises(CalldataError):
            abi.decode_infer(data)


@given(
    st.binary(max_size=400), st.sampled_from([b"", abi.INFER, abi.RECEIPT, abi.ASSURANCE_OF]), st.booleans()
)
def test_required_gas__every_calldata_has_a_price_and_static_costs_no_more(tail, selector, is_static):
    price = gas.required_gas(selector + tail, is_static=is_static)
    assert gas.UNKNOWN_CALL <= price <= gas.required_gas(selector + tail)


@given(words, words, tensors, tensors, st.integers(1, 2**64), st.binary(min_size=32, max_size=32).filter(any))
def test_bundle_digest__is_what_wallets_compute(request_id, model_id, inputs, outputs, chain_id, key_bytes):
    key = PrivateKey((int.from_bytes(key_bytes, "big") % 2**250 + 1).to_bytes(32, "big"))
    operator = key.public_key.to_checksum_address()
    bundle = Bundle(request_id, model_id, inputs, outputs, operator).signed(key, chain_id, PRECOMPILE)
    typed = encode_typed_data(
        domain_data={
            "name": "Foretell",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": PRECOMPILE,
        },
        message_types={
            "Bundle": [
                *(
                    {"name": n, "type": "bytes32"}
                    for n in ("request_id", "model_id", "input_hash", "output_hash", "seed")
                ),
                {"name": "operator", "type": "address"},
            ]
        },
        message_data={
            "request_id": request_id,
            "model_id": model_id,
            "input_hash": bundle.input_hash,
            "output_hash": bundle.output_hash,
            "seed": bundle.seed,
            "operator": operator,
        },
    )
    assert Account.recover_message(typed, signature=bundle.signature) == operator
    assert bundle.signer(chain_id, PRECOMPILE) == operator


@given(words, st.binary(max_size=80))
def test_recover_signer__any_bytes__recover_or_raise(digest, signature):
    with suppress(SignatureError):
        assert recover_signer(digest, signature).startswith("0x")
