"""The Gumbel-max rule: exact, blind to noise below tau, and never kinder to a liar than tau."""

import math
from collections import Counter
from decimal import Decimal, localcontext

from eth_utils import keccak
from hypothesis import assume, given
from hypothesis import strategies as st

from foretell_spec.sampling import agreed_tokens, decode, first_fault, gumbel, margin, sample, scores
from foretell_spec.tensor import WAD

seeds = st.binary(min_size=32, max_size=32)
steps = st.integers(0, 63)
logit_rows = st.lists(st.integers(-20 * WAD, 20 * WAD), min_size=2, max_size=8)
prompts = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
VOCABULARY = 5


def logits(context):
    """A small model: what a token scores follows from the context's hash."""
    digest = keccak(bytes(context))
    return [int.from_bytes(digest[2 * n : 2 * n + 2], "big") * WAD // 16384 for n in range(VOCABULARY)]


def shifted(noise):
    """The same model on a machine that computes otherwise."""
    return lambda context: [logit + change for logit, change in zip(logits(context), noise, strict=True)]


@given(seeds, steps, st.integers(0, 65_535))
def test_gumbel__is_the_floor_of_the_formula(seed, step, token):
    digest = keccak(seed + step.to_bytes(8, "big") + token.to_bytes(8, "big"))
    with localcontext(prec=100):
        uniform = (Decimal(int.from_bytes(digest[:8], "big")) + Decimal("0.5")) / (1 << 64)
        exact = -(-uniform.ln()).ln() * WAD
    assert gumbel(seed, step, token) == math.floor(exact)


@given(seeds, steps, logit_rows)
def test_sample__nothing_scores_higher_and_nothing_lower_is_equal(seed, step, row):
    found, token = scores(seed, step, row), sample(seed, step, row)
    assert found[token] == max(found)
    assert all(score < found[token] for score in found[:token])
    assert margin(seed, step, row, token) == 0


@given(seeds, steps, logit_rows, st.integers(-(10**30), 10**30))
def test_sample__same_for_logits_that_differ_by_a_constant(seed, step, row, constant):
    assert sample(seed, step, row) == sample(seed, step, [logit + constant for logit in row])


@given(seeds, steps, logit_rows, st.integers(-3, 10))
def test_margin__of_a_token_that_is_not_there__is_none(seed, step, row, token):
    assert (margin(seed, step, row, token) is None) == (not 0 <= token < len(row))


def test_sample__over_many_seeds__samples_the_softmax():
    row, count = [0, WAD, 2 * WAD], 3000
    found = Counter(sample(keccak(n.to_bytes(4, "big")), 0, row) for n in range(count))
    weights = [math.exp(logit / WAD) for logit in row]
    for token, weight in enumerate(weights):
        share = weight / sum(weights)
        # Five standard deviations: with fixed seeds this holds for ever or never.
        assert abs(found[token] - count * share) < 5 * math.sqrt(count * share * (1 - share))


@given(seeds, prompts, st.integers(1, 6))
def test_decode__honest__has_no_fault_even_without_tolerance(seed, prompt, length):
    output = decode(seed, prompt, length, logits)
    assert len(output) == length
    assert first_fault(seed, prompt, output, logits, 0) is None


@given(seeds, prompts, st.integers(1, 6), st.lists(st.integers(-1000, 1000), min_size=5, max_size=5))
def test_first_fault__machine_with_other_last_bits__is_benign_at_twice_the_noise(seed, prompt, length, noise):
    output = decode(seed, prompt, length, shifted(noise))
    assert first_fault(seed, prompt, output, logits, 2 * max(map(abs, noise))) is None


@given(seeds, prompts, st.integers(1, 6), st.data())
def test_first_fault__another_token__is_at_fault_as_far_as_it_misses(seed, prompt, length, data):
    right = decode(seed, prompt, length, logits)
    at = data.draw(st.integers(0, length - 1))
    token = data.draw(st.integers(0, VOCABULARY + 1).filter(lambda each: each != right[at]))
    tokens = prompt + right
    missed = margin(seed, at, logits(tokens[at : at + len(prompt)]), token)
    lie = (*right[:at], token, *right[at + 1 :])

    fault = first_fault(seed, prompt, lie, logits, 0)
    assume(missed != 0)

    assert fault is not None
    assert (fault.step, fault.token, fault.margin) == (at, token, missed)
    if missed is not None:
        after = first_fault(seed, prompt, lie, logits, missed)
        assert after is None or after.step > at


@given(seeds, seeds, prompts)
def test_first_fault__sampled_with_another_seed__is_found(seed, other, prompt):
    assume(seed != other)
    output = decode(other, prompt, 12, logits)
    assume(output != decode(seed, prompt, 12, logits))
    assert first_fault(seed, prompt, output, logits, 0) is not None


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).map(tuple), min_size=1, max_size=4))
def test_agreed_tokens__is_the_lower_token_where_they_part(outputs):
    agreed = agreed_tokens(outputs)
    assert agreed in outputs
    for other in outputs:
        parted = [(a, b) for a, b in zip(agreed, other, strict=True) if a != b]
        assert not parted or parted[0][0] < parted[0][1]
