from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.tensor import WAD
from tests.kit.chain import Contract, reverts
from tests.kit.world import World

CLOSES = [4000 + 7 * i for i in range(23)]
LAST_DAY = 20_000


@pytest.fixture
def keeper(world: World) -> str:
    return world.chain.account("keeper")


@pytest.fixture
def feed(world: World, keeper: str) -> Contract:
    return world.deploy("examples/IndexFeed.vy", keeper, LAST_DAY, CLOSES)


def returns_of(closes: list[int]) -> list[int]:
    """100 * (p / previous - 1) in WAD, rounded towards zero."""
    return [(abs(100 * WAD * (p - q)) // q) * (1 if p >= q else -1) for q, p in pairwise(closes)]


def test_recent_returns__first_closes__are_22_and_newest_last(feed: Contract) -> None:
    assert feed.recent_returns() == returns_of(CLOSES)
    assert len(feed.recent_returns()) == 22


@given(extra=st.lists(st.integers(1, 2**128 - 1), max_size=30))
def test_recent_returns__after_more_closes__follow_the_last_23(
    deployed_world: World, extra: list[int]
) -> None:
    with deployed_world.chain.isolate():
        keeper = deployed_world.chain.account("keeper")
        feed = deployed_world.deploy("examples/IndexFeed.vy", keeper, LAST_DAY, CLOSES)
        for day, close in enumerate(extra, LAST_DAY + 1):
            feed.record(day, close, sender=keeper)
        assert feed.recent_returns() == returns_of([*CLOSES, *extra][-23:])


def test_record__later_day__is_kept(feed: Contract, keeper: str) -> None:
    result = feed.record(LAST_DAY + 3, 5000, sender=keeper)
    assert feed.last_day() == LAST_DAY + 3
    assert vars(result.event("CloseRecorded")) == {"day": LAST_DAY + 3, "close": 5000}


@pytest.mark.parametrize("day", [LAST_DAY, LAST_DAY - 1])
def test_record__day_not_later__reverts(feed: Contract, keeper: str, day: int) -> None:
    with reverts("feed: day not later"):
        feed.record(day, 5000, sender=keeper)


def test_record__by_another__reverts(world: World, feed: Contract) -> None:
    with reverts("feed: only the keeper"):
        feed.record(LAST_DAY + 1, 5000, sender=world.stranger)


def test_record__zero_close__reverts(feed: Contract, keeper: str) -> None:
    with reverts("feed: close is zero"):
        feed.record(LAST_DAY + 1, 0, sender=keeper)


def test_record__huge_close__reverts(feed: Contract, keeper: str) -> None:
    with reverts("feed: close too large"):
        feed.record(LAST_DAY + 1, 2**128, sender=keeper)


@pytest.mark.parametrize(("bad", "reason"), [(0, "feed: close is zero"), (2**128, "feed: close too large")])
@pytest.mark.parametrize("position", [0, 22])
def test_constructor__bad_close__reverts(
    world: World, keeper: str, bad: int, reason: str, position: int
) -> None:
    closes = list(CLOSES)
    closes[position] = bad
    with reverts(reason):
        world.deploy("examples/IndexFeed.vy", keeper, LAST_DAY, closes)


def test_constructor__zero_keeper__reverts(world: World) -> None:
    with reverts("feed: keeper is zero"):
        world.deploy("examples/IndexFeed.vy", ZERO_ADDRESS, LAST_DAY, CLOSES)
