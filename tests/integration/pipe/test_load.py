"""Many transactions at once, with operators that take their time, fail and contradict: all of them end."""

import pytest

from scripts.bench.pipe_load import Load, LoadedChain

COMMON = {"included", "UNDETERMINED", "TIMEOUT"}


@pytest.mark.slow
def test_load__hundred_requests__all_end_in_a_block_or_with_a_reason() -> None:
    load = Load(requests=100, operators=8, slot=20.0, scale=0.02)
    loaded = LoadedChain(load)
    try:
        outcome = loaded.run()
    finally:
        loaded.chain.close()
    assert sum(outcome.ends.values()) == load.requests
    assert outcome.ends.keys() <= COMMON
    assert outcome.ends["included"] > 0.9 * load.requests
    assert outcome.dissents > 0
    assert outcome.lateness
