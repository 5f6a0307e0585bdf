"""The draw of operators: every bonded one, in proportion to its bond, and nobody gains by splitting."""

import math
from collections import Counter

import pytest
from eth_utils import keccak, to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec.draw import LOG_BITS, draw, draw_seed, minus_log2

DRAWS = 4_000

words = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20).map(to_checksum_address)
bonds = st.dictionaries(addresses, st.integers(0, 2**120), max_size=12)


def address(name: str) -> str:
    return to_checksum_address(keccak(text=name)[12:])


def first_places(bonds: dict[str, int]) -> Counter[str]:
    """How often each operator is asked first, in draws that every run repeats."""
    seed = draw_seed(keccak(text="block"), keccak(text="salt"))
    return Counter(draw(seed, keccak(text=f"request {number}"), bonds)[0] for number in range(DRAWS))


def is_share(count: int, share: float) -> bool:
    """Whether a count of ``DRAWS`` is within four standard deviations of its share."""
    return abs(count - DRAWS * share) <= 4 * math.sqrt(DRAWS * share * (1 - share))


@given(words, words, bonds)
def test_draw__is_every_bonded_operator_once_in_whatever_order_they_are_given(seed, request_id, bonds):
    drawn = draw(seed, request_id, bonds)
    assert sorted(drawn) == sorted(operator for operator, bond in bonds.items() if bond)
    assert draw(seed, request_id, dict(reversed(bonds.items()))) == drawn


@given(words, words, bonds, addresses, st.integers(1, 2**120))
def test_draw__of_somebody_more__leaves_the_others_in_their_order(seed, request_id, bonds, newcomer, bond):
    others = {operator: each for operator, each in bonds.items() if operator != newcomer}
    with_newcomer = draw(seed, request_id, {**others, newcomer: bond})
    assert tuple(each for each in with_newcomer if each != newcomer) == draw(seed, request_id, others)


@given(words, words, bonds.filter(bool), st.integers(1, 2**120), st.data())
def test_draw__with_a_larger_bond__is_never_later(seed, request_id, bonds, more, data):
    operator = data.draw(st.sampled_from(list(bonds)))
    before = {**bonds, operator: bonds[operator] or 1}
    after = {**before, operator: before[operator] + more}
    places = [draw(seed, request_id, each).index(operator) for each in (before, after)]
    assert places[1] <= places[0]


def test_draw__first_place__is_in_proportion_to_the_bond():
    bonds = {address("a"): 10**18, address("b"): 2 * 10**18, address("c"): 7 * 10**18}
    counts = first_places(bonds)
    assert all(is_share(counts[operator], bond / 10**19) for operator, bond in bonds.items())


@pytest.mark.parametrize("parts", [2, 10, 40])
def test_draw__bond_split_into_many_addresses__is_first_as_often(parts):
    others = {address("honest"): 6 * 10**18}
    split = {address(f"part {number}"): 4 * 10**18 // parts for number in range(parts)}
    counts = first_places({**others, **split})
    assert is_share(sum(counts[part] for part in split), 0.4)


def test_draw__second_place__is_in_proportion_among_the_rest():
    bonds = {address("a"): 10**18, address("b"): 10**18, address("c"): 2 * 10**18}
    seed = draw_seed(keccak(text="block"), keccak(text="salt"))
    drawn = [draw(seed, keccak(text=f"request {number}"), bonds) for number in range(DRAWS)]
    behind_c = [order for order in drawn if order[0] == address("c")]
    seconds = Counter(order[1] for order in behind_c)
    expected = len(behind_c) / 2
    assert abs(seconds[address("a")] - expected) <= 4 * math.sqrt(expected / 2)


@given(words, words, words, words)
def test_seed__of_another_block_or_salt__is_another(block, salt, other_block, other_salt):
    same = (block, salt) == (other_block, other_salt)
    assert (draw_seed(block, salt) == draw_seed(other_block, other_salt)) is same


@given(st.integers(0, 2**256 - 1))
def test_minus_log2__is_the_logarithm(ticket):
    exact = 256 - math.log2(ticket + 1)
    assert math.isclose(minus_log2(ticket) / 2**LOG_BITS, exact, rel_tol=1e-9, abs_tol=1e-12)


@given(st.integers(0, 2**256 - 2), st.integers(1, 2**255))
def test_minus_log2__falls(ticket, step):
    assert minus_log2(min(ticket + step, 2**256 - 1)) <= minus_log2(ticket)
