"""Several requests in one transaction that do not depend on each other."""

from foretell_spec.tensor import WAD
from tests.kit.pipeline import BIG_GAS, PipelineFork


def test_several__different_inputs__each_answered(fork: PipelineFork) -> None:
    fork.add_operator()
    values = [WAD * number for number in range(5)]
    receipt = fork.settle(
        fork.send(fork.pipeline.functions.several(fork.model_id, values), gas=BIG_GAS), seconds=60
    )
    assert receipt["status"] == 1
    assert fork.results() == [1, 2, 3, 4, 5]
    assert len(fork.chain.head.sidecar.answers) == 5


def test_several__the_same_input__computed_and_carried_once(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    receipt = fork.settle(
        fork.send(fork.pipeline.functions.several(fork.model_id, [WAD] * 20), gas=BIG_GAS), seconds=60
    )
    assert receipt["status"] == 1
    assert fork.results() == [2] * 20
    assert len(alice.asked) == 1
    assert len(fork.chain.head.sidecar.answers) == 1
