"""Each request depends on the output of the one before: pre-execution finds them one after the other."""

from foretell_evm.resolution import MAX_REQUESTS_PER_TRANSACTION
from foretell_spec.tensor import WAD
from tests.kit.pipeline import BIG_GAS, PipelineFork


def test_chained__up_to_the_most_per_transaction__all_answered_in_one_block(fork: PipelineFork) -> None:
    alice = fork.add_operator()
    steps = MAX_REQUESTS_PER_TRANSACTION
    sent = fork.send(fork.pipeline.functions.chained(fork.model_id, WAD, steps), gas=BIG_GAS)
    receipt = fork.settle(sent, seconds=60)

    assert receipt["status"] == 1
    assert fork.results() == [number + 2 for number in range(steps)]
    assert fork.inferred(receipt) == steps
    assert [job.inputs[0] for job in alice.asked] == [128 * (number + 1) for number in range(steps)]
    assert len(fork.chain.head.sidecar.answers) == steps


def test_chained__one_more_than_that__reverts_and_keeps_nothing(fork: PipelineFork) -> None:
    fork.add_operator()
    steps = MAX_REQUESTS_PER_TRANSACTION + 1
    sent = fork.send(fork.pipeline.functions.chained(fork.model_id, WAD, steps), gas=BIG_GAS)
    receipt = fork.settle(sent, seconds=60)

    assert receipt["status"] == 0
    assert receipt["logs"] == []
    assert fork.results() == []


def test_chained__second_answer_cannot_come__whole_transaction_ends_with_the_reason(
    fork: PipelineFork,
) -> None:
    def only_the_first(job) -> tuple[int, ...]:
        if job.inputs[0] != 128:
            raise RuntimeError("no such answer")
        return (sum(job.inputs),)

    fork.add_operator(answers=only_the_first)
    sent = fork.send(fork.pipeline.functions.chained(fork.model_id, WAD, 3), gas=BIG_GAS)
    fork.until(lambda: fork.why(sent)["status"] == "evicted")
    assert fork.why(sent)["reason"] == "NO_OPERATOR"
    assert "no such answer" in fork.why(sent)["detail"]
    assert fork.results() == []
