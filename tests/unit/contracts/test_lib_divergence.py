"""lib/divergence against the shared vectors and against foretell_spec on random outputs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec.divergence import Decider, DeterminismClass, judge
from tests.kit.chain import Contract, reverts
from tests.kit.vectors import cases
from tests.kit.world import World

INT256 = st.integers(-(2**255), 2**255 - 1)
NEAR = st.integers(-3, 3)


@pytest.fixture(scope="module")
def divergence(deployed_world: World) -> Contract:
    return deployed_world.deploy("mocks/DivergenceHarness.vy")


def arguments(vector: dict[str, Any]) -> tuple[int, list[int], list[int], int]:
    first, second = ([int(value) for value in vector[name]] for name in ("first", "second"))
    return vector["determinism"], first, second, int(vector["tolerance"])


@pytest.mark.parametrize("vector", cases("divergence", "judge"))
def test_judge__vector__gives_the_expected(divergence: Contract, vector: dict[str, Any]) -> None:
    assert divergence.judge(*arguments(vector)) == (vector["relation"], vector["decider"])


@pytest.mark.parametrize("vector", cases("divergence", "judge_fail"))
def test_judge__bad_vector__reverts(divergence: Contract, vector: dict[str, Any]) -> None:
    with reverts("divergence: unknown class"):
        divergence.judge(*arguments(vector))


@given(
    determinism=st.sampled_from(DeterminismClass),
    pair=st.one_of(
        st.lists(st.tuples(INT256, INT256), max_size=64),
        st.lists(st.tuples(NEAR, NEAR), max_size=4),
    ),
    cut=st.integers(0, 1),
    tolerance=st.one_of(st.integers(0, 6), st.integers(0, 2**256 - 1)),
)
def test_judge__any_outputs__equals_the_specification(
    divergence: Contract, determinism: DeterminismClass, pair: list[tuple[int, int]], cut: int, tolerance: int
) -> None:
    first, second = [a for a, _ in pair], [b for _, b in pair][cut:]
    expected = judge(determinism, first, second, tolerance)
    assert divergence.judge(determinism, first, second, tolerance) == (expected.relation, expected.decider)


@pytest.mark.parametrize("determinism", list(DeterminismClass))
def test_decider_of__each_class__is_its_own(divergence: Contract, determinism: DeterminismClass) -> None:
    expected = {
        DeterminismClass.CIRCUIT: Decider.PROOF,
        DeterminismClass.INTEGER: Decider.RE_EXECUTION,
        DeterminismClass.FLOAT: Decider.QUORUM,
        DeterminismClass.SEEDED: Decider.TEACHER_FORCING,
        DeterminismClass.OPEN: Decider.UNDECIDABLE,
    }
    assert divergence.decider_of(determinism) == expected[determinism]


def test_decider_of__no_class__reverts(divergence: Contract) -> None:
    with reverts("divergence: unknown class"):
        divergence.decider_of(5)
