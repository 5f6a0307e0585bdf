"""Requests some calls deep, and within static calls."""

from foretell_spec.tensor import WAD
from tests.kit.pipeline import BIG_GAS, PipelineFork


def test_nested__four_contracts_deep__kept_by_the_innermost(fork: PipelineFork) -> None:
    fork.add_operator()
    others = [fork.deploy_pipeline() for _ in range(4)]
    path = [other.address for other in others]
    receipt = fork.settle(fork.send(fork.pipeline.functions.nested(path, fork.model_id, WAD), gas=BIG_GAS))
    assert receipt["status"] == 1
    assert fork.inferred(receipt) == 1
    assert fork.results(others[-1]) == [2]
    assert all(fork.results(other) == [] for other in others[:-1])


def test_static__within_a_transaction__same_answer_and_no_receipt(fork: PipelineFork) -> None:
    fork.add_operator()
    other = fork.deploy_pipeline()
    receipt = fork.settle(
        fork.send(fork.pipeline.functions.static_in(other.address, fork.model_id, WAD), gas=BIG_GAS)
    )
    assert receipt["status"] == 1
    assert fork.results() == [2]
    assert fork.inferred(receipt) == 0
    (answer,) = fork.chain.head.sidecar.answers
    assert fork.chain.rpc("foretell_receipt", ["0x" + answer.receipt_id.hex()]) is None


def test_static__as_a_view__is_answered(fork: PipelineFork) -> None:
    fork.add_operator()
    assert fork.pipeline.functions.look(fork.model_id, WAD).call() == 2 * WAD
