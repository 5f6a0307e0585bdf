"""What several bundles agree on."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from foretell_evm.quorum import agreement
from foretell_spec.bundle import Bundle
from tests.kit.fork import address_of


def bundles(*outputs: int) -> list[Bundle]:
    return [
        Bundle(b"\1" * 32, b"\2" * 32, (1,), (output,), address_of(0x1000 + number))
        for number, output in enumerate(outputs)
    ]


@dataclass(frozen=True)
class Within:
    """Outputs are different when they are further apart than this."""

    tolerance: int

    def __call__(self, first: Bundle, second: Bundle) -> bool:
        return abs(first.outputs[0] - second.outputs[0]) > self.tolerance


EXACT = Within(0)


def test_agreement__all_equal__of_all_in_their_order() -> None:
    given_ = bundles(7, 7, 7)
    answer = agreement(given_, 2, EXACT)
    assert answer is not None
    assert (answer.outputs, answer.bundles) == ((7,), tuple(given_))


def test_agreement__one_apart__of_the_others() -> None:
    given_ = bundles(7, 8, 7)
    answer = agreement(given_, 2, EXACT)
    assert answer is not None
    assert answer.bundles == (given_[0], given_[2])


def test_agreement__too_few_equal__none() -> None:
    assert agreement(bundles(7, 8, 9), 2, EXACT) is None
    assert agreement(bundles(7, 7), 3, EXACT) is None
    assert agreement([], 2, EXACT) is None


def test_agreement__within_tolerance__median_of_those_that_are_all_near_each_other() -> None:
    given_ = bundles(10, 11, 13, 12)
    answer = agreement(given_, 2, Within(2))
    assert answer is not None
    assert answer.bundles == (given_[0], given_[1], given_[3])
    assert answer.outputs == (11,)


@given(st.lists(st.integers(0, 6), max_size=7), st.integers(2, 7), st.integers(0, 3))
def test_agreement__is_of_enough_who_are_near_each_other_and_none_larger_exists(
    outputs, agree, tolerance
) -> None:
    answer = agreement(bundles(*outputs), agree, Within(tolerance))
    largest = max((sum(low <= each <= low + tolerance for each in outputs) for low in outputs), default=0)
    if answer is None:
        assert largest < agree
        return
    said = [bundle.outputs[0] for bundle in answer.bundles]
    assert len(said) == largest >= agree
    assert max(said) - min(said) <= tolerance
    assert min(said) <= answer.outputs[0] <= max(said)
