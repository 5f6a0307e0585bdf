"""``AGREED``: operators commit, then reveal, and a quorum of them must agree."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from foretell_evm.config import ChainConfig, PoolLimits
from foretell_evm.full_node import FullNode
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.bundle import sign_digest
from foretell_spec.commitment import Reveal, seal
from foretell_spec.operator import InferenceJob, Sealed
from tests.kit.fork import GENESIS_TIME, Fork, ScriptedOperator, operator_key

AGREED = 2
PATIENCE = 0.4
NAMES = ("alice", "bob", "carol", "dave")


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=PoolLimits(deadline=8.0, patience=PATIENCE)))
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def wrong(by: int) -> Callable[[InferenceJob], tuple[int, ...]]:
    return lambda job: (sum(job.inputs) + by,)


def fail(job: InferenceJob) -> tuple[int, ...]:
    raise RuntimeError("the model file is gone")


def scripted(fork: Fork, *scripts: dict[str, Any]) -> list[ScriptedOperator]:
    """Operators in the order of the draw, each with its script."""
    operators = fork.in_order(*NAMES[: len(scripts)])
    for operator, script in zip(operators, scripts, strict=True):
        vars(operator).update(script)
    return operators


def ended(fork: Fork, transaction_hash: str) -> dict[str, Any]:
    fork.until(lambda: fork.why(transaction_hash)["status"] == "evicted")
    return fork.why(transaction_hash)


def agreeing(fork: Fork) -> list[str]:
    """Operators of the head's one answer."""
    (answer,) = fork.chain.head.sidecar.answers
    return [bundle.operator for bundle in answer.bundles]


def test_agreed__three_operators__one_answer_of_all_and_a_full_node_accepts_it(fork: Fork) -> None:
    operators = scripted(fork, {}, {}, {})
    receipt = fork.settle(fork.send_ask(assurance=AGREED))
    assert receipt["status"] == 1
    assert agreeing(fork) == [operator.address for operator in operators]
    (answer,) = fork.chain.head.sidecar.answers
    stored = fork.chain.rpc("foretell_receipt", ["0x" + answer.receipt_id.hex()])
    assert stored["assuranceName"] == "AGREED"
    node = FullNode(fork.config)
    for number in range(1, fork.chain.head.number + 1):
        node.import_block(*fork.sidecar(number))
    assert node.head.block.hash == fork.chain.head.block.hash


def test_agreed__before_enough_have_committed__nobody_is_asked_to_reveal(
    fork: Fork, gate: threading.Event
) -> None:
    revealed: list[str] = []

    def note(reveal: Reveal) -> Reveal:
        revealed.append(reveal.operator)
        return reveal

    first, second, third = scripted(
        fork, {"reveals": note}, {"reveals": note, "gate": gate}, {"reveals": note, "gate": gate}
    )
    sent = fork.send_ask(assurance=AGREED)
    fork.until(lambda: len(second.asked) == len(third.asked) == 1)
    # The first has committed, and even when the others take too long it shows nothing.
    gate.wait(3 * PATIENCE)
    assert revealed == []
    gate.set()
    fork.settle(sent)
    assert first.address in revealed
    assert len(revealed) >= 2


def test_agreed__one_hangs__the_others_are_enough(fork: Fork, gate: threading.Event) -> None:
    first, _, third = scripted(fork, {}, {"gate": gate}, {})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [first.address, third.address]


def test_agreed__one_fails_to_commit__replaced_by_the_next(fork: Fork) -> None:
    first, _, third, fourth = scripted(fork, {}, {"answers": fail}, {}, {})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [first.address, third.address, fourth.address]


def test_agreed__one_reveals_what_has_no_evidence__replaced_by_the_next(fork: Fork) -> None:
    seeded = {"change": lambda bundle: replace(bundle, seed=b"\1" * 32)}
    _, second, _, fourth = scripted(fork, seeded, {}, {"answers": wrong(1)}, {})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [second.address, fourth.address]


def test_agreed__one_commits_and_does_not_reveal__replaced_by_the_next(fork: Fork) -> None:
    def refuse(reveal: Reveal) -> Reveal:
        raise RuntimeError("I have thought better of it")

    _, second, _, fourth = scripted(fork, {"reveals": refuse}, {}, {"answers": wrong(1)}, {})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [second.address, fourth.address]


def resigned(reveal: Reveal, operator: ScriptedOperator) -> Reveal:
    return replace(reveal, signature=sign_digest(operator.key, reveal.digest(31337, PRECOMPILE)))


def test_agreed__reveal_that_does_not_open_its_commitment__kept_as_evidence_and_replaced(fork: Fork) -> None:
    liar, second, _, fourth = scripted(fork, {}, {}, {"answers": wrong(1)}, {})

    def tell_another(reveal: Reveal) -> Reveal:
        changed = replace(reveal.bundle, outputs=(9,)).signed(liar.key, 31337, PRECOMPILE)
        return resigned(replace(reveal, bundle=changed), liar)

    liar.reveals = tell_another
    fork.settle(fork.send_ask(assurance=AGREED))

    assert agreeing(fork) == [second.address, fourth.address]
    (broken,) = fork.chain.pool.broken_reveals
    assert (broken.operator, broken.holds) == (liar.address, False)
    assert broken.signer(31337, PRECOMPILE) == liar.address
    (shown,) = fork.chain.rpc("foretell_pool")["brokenReveals"]
    assert shown["bundle"]["operator"] == liar.address
    # What it signed in the end contradicts the others, so that is kept as well.
    assert any(broken.bundle in (each.first, each.second) for each in fork.chain.pool.dissents())


def test_agreed__reveal_that_somebody_else_signed__is_no_evidence_and_replaced(fork: Fork) -> None:
    mallory = ScriptedOperator(operator_key("mallory"))
    broken = {"reveals": lambda reveal: resigned(replace(reveal, salt=b"\7" * 32), mallory)}
    _, second, _, fourth = scripted(fork, broken, {}, {"answers": wrong(1)}, {})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [second.address, fourth.address]
    assert fork.chain.pool.broken_reveals == ()


def test_agreed__reveal_of_another_commitment_of_its_own__does_not_count(fork: Fork) -> None:
    """Whoever could choose among commitments at the end would choose after the others."""
    liar, second, _, fourth = scripted(fork, {}, {}, {"answers": wrong(1)}, {})

    def open_another(reveal: Reveal) -> Reveal:
        return seal(reveal.bundle, b"\7" * 32, liar.key, 31337, PRECOMPILE)[1]

    liar.reveals = open_another
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [second.address, fourth.address]
    assert fork.chain.pool.broken_reveals == ()


def test_agreed__reveal_of_anothers_answer__does_not_count(fork: Fork) -> None:
    liar, second, third = scripted(fork, {}, {}, {"answers": wrong(1)})
    seen: list[Reveal] = []
    second.reveals = lambda reveal: seen.append(reveal) or reveal

    def hand_on(reveal: Reveal) -> Reveal:
        fork.until(lambda: bool(seen))
        return seen[0]

    liar.reveals = hand_on
    end = ended(fork, fork.send_ask(assurance=AGREED))
    assert end["reason"] == "UNDETERMINED"
    assert "revealed another's answer" in end["detail"]
    assert third.asked


def test_agreed__commitment_that_somebody_else_signed__replaced_by_the_next(fork: Fork) -> None:
    first, unsigned, third, fourth = scripted(fork, {}, {}, {}, {})
    mallory = operator_key("mallory")

    def commit(job: InferenceJob) -> Sealed:
        commitment, reveal = seal(
            unsigned.answer(job), b"\7" * 32, mallory, job.chain_id, job.verifying_contract
        )
        return Sealed(commitment, lambda: reveal)

    unsigned.commit = commit
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [first.address, third.address, fourth.address]


class Copycat(ScriptedOperator):
    """Commits to what another operator hides, and when all is revealed shows the same output and salt."""

    def copy(self, victim: ScriptedOperator) -> "Copycat":
        self.victim = victim
        return self

    def commit(self, job: InferenceJob) -> Sealed:
        theirs = self.victim.commit(job)
        copied = replace(theirs.commitment, operator=self.address)
        signature = sign_digest(self.key, copied.digest(job.chain_id, job.verifying_contract))

        def reveal() -> Reveal:
            seen = theirs.reveal()
            mine = replace(seen.bundle, operator=self.address).signed(
                self.key, job.chain_id, job.verifying_contract
            )
            return resigned(replace(seen, bundle=mine), self)

        return Sealed(replace(copied, signature=signature), reveal)


def test_agreed__copied_commitment__is_worth_nothing(fork: Fork) -> None:
    honest, other = fork.add_operator("alice"), fork.add_operator("bob", answers=fail)
    copycat = Copycat(operator_key("carol")).copy(honest)
    fork.add_operator("carol")
    fork.chain.add_operator(copycat)
    end = ended(fork, fork.send_ask(assurance=AGREED))
    assert end["reason"] == "BAD_EVIDENCE"
    (broken,) = fork.chain.pool.broken_reveals
    assert broken.operator == copycat.address
    assert other.asked


class Impostor(ScriptedOperator):
    """Hands on another operator's commitment as it is."""

    def commit(self, job: InferenceJob) -> Sealed:
        return ScriptedOperator(operator_key("alice")).commit(job)


def test_agreed__commitment_in_anothers_name__does_not_count_twice(fork: Fork) -> None:
    fork.add_operator("alice")
    fork.add_operator("bob")
    fork.chain.add_operator(Impostor(operator_key("bob")))
    end = ended(fork, fork.send_ask(assurance=AGREED))
    assert end["reason"] == "BAD_EVIDENCE"
    assert "in another's name" in end["detail"]


def test_agreed__one_says_something_else__majority_counts_and_the_block_tells(fork: Fork) -> None:
    first, second, liar = scripted(fork, {}, {}, {"answers": wrong(1)})
    fork.settle(fork.send_ask(assurance=AGREED))
    assert agreeing(fork) == [first.address, second.address]
    dissents = fork.chain.head.sidecar.dissents
    assert dissents == fork.chain.pool.dissents() != ()
    assert all(liar.address in (each.first.operator, each.second.operator) for each in dissents)
    assert len(fork.chain.rpc("foretell_dissents")) == len(dissents)


def test_agreed__all_say_something_else__undetermined_and_nobody_further_is_asked(fork: Fork) -> None:
    *_, fourth = scripted(fork, {"answers": wrong(1)}, {"answers": wrong(2)}, {"answers": wrong(3)}, {})
    end = ended(fork, fork.send_ask(assurance=AGREED))
    assert end["reason"] == "UNDETERMINED"
    assert fourth.asked == []
    assert len(fork.chain.pool.dissents()) == 2


def test_agreed__too_few_operators__no_operator(fork: Fork) -> None:
    scripted(fork, {})
    assert ended(fork, fork.send_ask(assurance=AGREED))["reason"] == "NO_OPERATOR"


def test_agreed__operator_that_only_answers__is_not_drawn(fork: Fork) -> None:
    class OnlyAnswers:
        def __init__(self, inner: ScriptedOperator) -> None:
            self.address, self.answer = inner.address, inner.answer

    for name in NAMES[:3]:
        fork.chain.add_operator(OnlyAnswers(fork.add_operator(name)))
    end = ended(fork, fork.send_ask(assurance=AGREED))
    assert end["reason"] == "NO_OPERATOR"
    assert "0 bonded operators commit and reveal" in end["detail"]


def test_agreed__after_a_dissent__still_counts_and_no_single_signature_does(fork: Fork) -> None:
    scripted(fork, {"proof": b""}, {"proof": b""}, {"answers": wrong(1), "proof": b""})
    fork.settle(fork.send_ask(assurance=AGREED))
    answers = fork.chain.pool.answers(fork.job().request_id)
    assert [len(answer.bundles) for answer in answers] == [2]
    assert fork.settle(fork.send_ask(assurance=1))["status"] == 1
