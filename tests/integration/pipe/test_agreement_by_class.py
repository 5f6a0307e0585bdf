"""What agrees and what contradicts follows from the model's class."""

from collections.abc import Callable, Iterator

import pytest

from foretell_evm.config import ChainConfig, PoolLimits
from foretell_spec.divergence import DeterminismClass
from foretell_spec.operator import InferenceJob
from foretell_spec.tensor import WAD
from tests.kit.fork import GENESIS_TIME, Fork, ScriptedOperator

SIGNED, AGREED = 1, 2
STEP = WAD // 128
"""One step of the model's output, in WAD."""


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=PoolLimits(deadline=20.0, patience=0.5)))
    yield made
    made.close()


def use(fork: Fork, determinism: DeterminismClass, tolerance: int = 0) -> None:
    """Let the fork ask a model of a class that has no circuit."""
    fork.manifest = fork.make_manifest(
        determinism=determinism, verifier_code_hash=b"\0" * 32, tolerance=tolerance
    )
    fork.transact(fork.models.functions.register(fork.manifest.words(), "0x" + "00" * 20))


def off_by(steps: int) -> Callable[[InferenceJob], tuple[int, ...]]:
    return lambda job: (sum(job.inputs) + steps,)


def scripted(fork: Fork, *steps: int) -> list[ScriptedOperator]:
    operators = fork.in_order(*("alice", "bob", "carol")[: len(steps)])
    for operator, each in zip(operators, steps, strict=True):
        operator.answers = off_by(each)
    return operators


def test_float__within_tolerance__median_of_all_and_no_dissent(fork: Fork) -> None:
    use(fork, DeterminismClass.FLOAT, tolerance=2 * STEP)
    operators = scripted(fork, 2, 0, 1)
    assert fork.settle(fork.send_ask(assurance=AGREED))["status"] == 1
    (answer,) = fork.chain.head.sidecar.answers
    assert [bundle.operator for bundle in answer.bundles] == [each.address for each in operators]
    assert fork.infer(assurance=AGREED)[0] == (fork.right()[0] + STEP,)
    assert fork.chain.pool.dissents() == ()


def test_float__one_beyond_tolerance__agreed_by_the_others_and_a_dissent(fork: Fork) -> None:
    use(fork, DeterminismClass.FLOAT, tolerance=STEP)
    first, second, _ = scripted(fork, 0, 1, 9)
    fork.settle(fork.send_ask(assurance=AGREED))
    (answer,) = fork.chain.head.sidecar.answers
    assert [bundle.operator for bundle in answer.bundles] == [first.address, second.address]
    assert fork.chain.head.sidecar.dissents != ()


def test_integer__after_a_dissent__who_asks_for_a_signature_gets_a_quorum(fork: Fork) -> None:
    use(fork, DeterminismClass.INTEGER)
    slow, *_ = operators = scripted(fork, 1, 0, 0)
    slow.delay = 1.0
    fork.settle(fork.send_ask(assurance=SIGNED))
    fork.until(lambda: bool(fork.chain.pool.dissents()))
    for operator in operators:
        operator.delay = 0.0

    assert fork.settle(fork.send_ask(assurance=SIGNED))["status"] == 1
    (answer,) = fork.chain.head.sidecar.answers
    assert len(answer.bundles) == 2
    assert slow.address not in {bundle.operator for bundle in answer.bundles}
    assert fork.infer(assurance=SIGNED)[0] == fork.right()
