"""Determinism classes on the fork: what contradicts what, what callers may ask for, and whence seeds come."""

from dataclasses import replace
from typing import Any

import pytest
from eth_abi import decode
from eth_utils import keccak

from foretell_evm.config import ChainConfig, PoolLimits
from foretell_evm.errors import EvidenceError
from foretell_evm.full_node import FullNode
from foretell_spec.abi import INFERRED_TOPIC
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.divergence import DeterminismClass
from foretell_spec.operator import InferenceJob
from foretell_spec.reasons import Reason
from foretell_spec.request import NO_SEED, call_seed, precompile_request_id
from foretell_spec.sidecar import Answer, Dissent, Sidecar
from foretell_spec.tensor import WAD, tensor_hash
from tests.integration.test_full_node import decoded, rejected, resealed
from tests.kit.fork import GENESIS_TIME, Fork, ScriptedOperator
from tests.kit.manifest import SCALE
from tests.unit.evm.test_precompile import refusal

STEP = WAD >> SCALE
SIGNED_CLASSES = [DeterminismClass.INTEGER, DeterminismClass.FLOAT, DeterminismClass.SEEDED]
TOKENS = (3 * WAD, 5 * WAD)


def plus(more: int) -> Any:
    """An operator's answer that is ``more`` steps over the sum."""
    return lambda job: (sum(job.inputs) + more,)


def both_answer(fork: Fork, more: int) -> None:
    """Two operators answer the same question, one ``more`` steps over the other."""
    # The first drawn is slow, so that the second is asked too; whoever that is.
    fork.add_operator("alice", answers=plus(0), delay=0.6)
    fork.add_operator("bob", answers=plus(more), delay=0.6)
    sent = fork.send_ask()
    fork.until(lambda: fork.why(sent)["status"] in ("included", "evicted"))
    fork.until(lambda: len(fork.chain.pool.answers(fork.job().request_id)) == 2 or bool(dissents(fork)))


def dissents(fork: Fork) -> tuple[Dissent, ...]:
    return fork.chain.pool.dissents()


@pytest.fixture
def impatient() -> Any:
    """A fork whose pool asks the next operator after a moment."""
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME, limits=PoolLimits(patience=0.05)))
    yield made
    made.close()


@pytest.mark.parametrize("determinism", SIGNED_CLASSES)
def test_infer__signed_class__answers_and_a_full_node_agrees(
    fork: Fork, determinism: DeterminismClass
) -> None:
    fork.add_operator()
    fork.use_class(determinism)

    receipt = fork.settle(fork.send_ask(TOKENS))

    assert receipt["status"] == 1
    node = FullNode(fork.config)
    for number in range(1, fork.w3.eth.block_number + 1):
        node.import_block(*fork.sidecar(number))
    assert node.head.block.hash == bytes(fork.w3.eth.get_block("latest")["hash"])
    ((answer,),) = [fork.sidecar()[1].answers]
    assert answer.outputs == (sum(answer.lead.inputs),)


@pytest.mark.parametrize("determinism", [*SIGNED_CLASSES, DeterminismClass.OPEN])
def test_infer__more_than_the_class_reaches__refused(fork: Fork, determinism: DeterminismClass) -> None:
    fork.use_class(determinism)
    for assurance in (Assurance.ATTESTED, Assurance.PROVEN):
        data = fork.infer_data(TOKENS, assurance, accepts_open=True)
        assert refusal(fork, data) is Reason.ASSURANCE_UNAVAILABLE


# ------------------------------------------------------------------------------------ INTEGER, FLOAT


@pytest.mark.parametrize(
    ("determinism", "tolerance", "more", "contradict"),
    [
        (DeterminismClass.INTEGER, 10 * STEP, 1, True),
        (DeterminismClass.FLOAT, 3 * STEP, 3, False),
        (DeterminismClass.FLOAT, 3 * STEP, 4, True),
        (DeterminismClass.OPEN, 0, 1000, False),
    ],
)
def test_differ__by_class__makes_a_dissent_or_none(
    impatient: Fork, determinism: DeterminismClass, tolerance: int, more: int, *, contradict: bool
) -> None:
    fork = impatient
    fork.use_class(determinism, tolerance=tolerance)
    if determinism is DeterminismClass.OPEN:
        fork.ask = AskOpen(fork.ask)

    both_answer(fork, more)

    assert bool(dissents(fork)) is contradict
    if not contradict:
        assert len(fork.chain.pool.answers(fork.job().request_id)) == 2
        fork.settle(fork.send_ask())  # still answered


class AskOpen:
    """``Ask`` whose ``ask`` is ``ask_open``."""

    def __init__(self, ask: Any) -> None:
        self.functions, self._ask = self, ask

    def ask(self, *arguments: Any) -> Any:
        return self._ask.functions.ask_open(*arguments)


def signed(fork: Fork, operator: ScriptedOperator, outputs: tuple[int, ...], **changes: Any) -> Any:
    job = replace(fork.job(), **changes)
    return replace(operator, answers=lambda _: outputs).answer(job)


def test_check_dissent__within_tolerance__does_not_hold(fork: Fork) -> None:
    fork.use_class(DeterminismClass.FLOAT, tolerance=3 * STEP)
    alice, bob = fork.add_operator("alice"), fork.add_operator("bob")
    checker, state = fork.chain._core.checker, fork.chain.state()

    checker.check_dissent(Dissent(signed(fork, alice, (0,)), signed(fork, bob, (4,))), state)
    with pytest.raises(EvidenceError, match="do not contradict each other"):
        checker.check_dissent(Dissent(signed(fork, alice, (0,)), signed(fork, bob, (3,))), state)


def test_check_dissent__open__never_holds(fork: Fork) -> None:
    fork.use_class(DeterminismClass.OPEN)
    alice, bob = fork.add_operator("alice"), fork.add_operator("bob")
    with pytest.raises(EvidenceError, match="do not contradict each other"):
        fork.chain._core.checker.check_dissent(
            Dissent(signed(fork, alice, (0,)), signed(fork, bob, (9,))), fork.chain.state()
        )


def test_check_answer__quorum_within_tolerance__agrees_on_the_median(fork: Fork) -> None:
    fork.use_class(DeterminismClass.FLOAT, tolerance=3 * STEP)
    names = ("alice", "bob", "carol")
    bundles = tuple(
        signed(fork, fork.add_operator(name), (value,)) for name, value in zip(names, (0, 3, 1), strict=True)
    )
    checker, state = fork.chain._core.checker, fork.chain.state()

    assert checker.check_answer(Answer((1,), bundles), state) is Assurance.AGREED
    with pytest.raises(EvidenceError, match="not what the operators agree on"):
        checker.check_answer(Answer((0,), bundles), state)


def test_check_answer__quorum_about_an_open_model__refused(fork: Fork) -> None:
    fork.use_class(DeterminismClass.OPEN)
    bundles = tuple(signed(fork, fork.add_operator(name), (1,)) for name in ("alice", "bob"))
    with pytest.raises(EvidenceError, match="no output is the correct one"):
        fork.chain._core.checker.check_answer(Answer((1,), bundles), fork.chain.state())


def test_check__proof_of_a_class_without_proofs__refused(fork: Fork) -> None:
    fork.use_class(DeterminismClass.INTEGER)
    bundle = replace(signed(fork, fork.add_operator(), (1,)), proof=b"proof")
    with pytest.raises(EvidenceError, match="class INTEGER has no proofs"):
        fork.chain._core.checker.check(bundle, fork.chain.state())


@pytest.mark.parametrize(
    ("determinism", "errors", "agreed"),
    [
        (DeterminismClass.FLOAT, (0, 3, 1), 1),  # the median
        (DeterminismClass.FLOAT, (0, 400, 2), 1),  # one is far off: the two others' mean
        (DeterminismClass.INTEGER, (0, 1, 0), 0),
        (DeterminismClass.SEEDED, (0, 0, 1), 0),
    ],
)
def test_infer__agreed__is_what_a_quorum_says(
    fork: Fork, determinism: DeterminismClass, errors: tuple[int, int, int], agreed: int
) -> None:
    tolerance = {"tolerance": 3 * STEP} if determinism is DeterminismClass.FLOAT else {}
    fork.use_class(determinism, **tolerance)
    for name, error in zip(("alice", "bob", "carol"), errors, strict=True):
        fork.add_operator(name, answers=plus(error))

    fork.settle(fork.send_ask(TOKENS, Assurance.AGREED))

    (answer,) = fork.sidecar()[1].answers
    assert answer.outputs == (sum(answer.lead.inputs) + agreed,)
    spread = max(errors) - min(errors)
    assert len(answer.bundles) == (3 if spread <= 3 and determinism is DeterminismClass.FLOAT else 2)


def test_infer__agreed_about_an_open_model__refused(fork: Fork) -> None:
    fork.use_class(DeterminismClass.OPEN)
    data = fork.infer_data(assurance=Assurance.AGREED, accepts_open=True)
    assert refusal(fork, data) is Reason.ASSURANCE_UNAVAILABLE


# ------------------------------------------------------------------------------------ OPEN


def test_infer__open_model__only_infer_open_takes_it(fork: Fork) -> None:
    fork.add_operator()
    fork.use_class(DeterminismClass.OPEN)

    assert refusal(fork, fork.infer_data()) is Reason.OPEN_MODEL
    output = fork.w3.eth.call({"to": PRECOMPILE, "data": fork.infer_data(accepts_open=True)})

    assert decode(["int256[]", "bytes32"], output)[0] == fork.right()


def test_infer_open__receipt__is_signed(fork: Fork) -> None:
    fork.add_operator()
    fork.use_class(DeterminismClass.OPEN)
    fork.ask = AskOpen(fork.ask)

    receipt = fork.settle(fork.send_ask())

    (event,) = [log for log in receipt["logs"] if log["address"] == PRECOMPILE]
    stored = fork.chain.rpc("foretell_receipt", ["0x" + bytes(event["topics"][1]).hex()])
    assert stored["assuranceName"] == "SIGNED"


def test_infer_open__model_of_another_class__answers_too(fork: Fork) -> None:
    fork.add_operator()
    output = fork.w3.eth.call({"to": PRECOMPILE, "data": fork.infer_data(assurance=4, accepts_open=True)})
    assert decode(["int256[]", "bytes32"], output)[0] == fork.right()


# ------------------------------------------------------------------------------------ SEEDED


def seeds(operator: ScriptedOperator) -> list[bytes]:
    return [job.seed for job in operator.asked]


def test_seed__of_a_transaction__follows_from_transaction_and_call(fork: Fork) -> None:
    alice = fork.add_operator()
    fork.use_class(DeterminismClass.SEEDED)
    nonce = fork.w3.eth.get_transaction_count(fork.user)

    fork.settle(fork.send_ask(TOKENS))
    fork.settle(fork.send_ask(TOKENS))

    hashed = tensor_hash((3, 5))
    assert seeds(alice) == [
        # The origin's nonce counts the transaction itself: it rises before the call.
        call_seed(31337, fork.user, nonce + 1 + number, 0, fork.ask.address, fork.model_id, hashed)
        for number in range(2)
    ]
    for job in alice.asked:
        assert job.request_id == precompile_request_id(31337, fork.model_id, hashed, job.seed)


def reseeded(bundle: Bundle, operator: ScriptedOperator) -> Bundle:
    """The bundle for a seed that its operator likes better, with all that follows from it."""
    seed = keccak(text="a better one")
    request = precompile_request_id(31337, bundle.model_id, bundle.input_hash, seed)
    return replace(bundle, seed=seed, request_id=request).signed(operator.key, 31337, PRECOMPILE)


def twice(fork: Fork) -> str:
    """A contract that asks the precompile the same twice, and fails where a call does."""
    to = bytes.fromhex(PRECOMPILE[2:])
    ask = bytes.fromhex("5f5f365f5f") + b"\x73" + to + bytes.fromhex("5af1")
    body = bytes.fromhex("365f5f37") + ask + ask + bytes.fromhex("16") + b"\x60"
    body += bytes([len(body) + 5]) + bytes.fromhex("575f5ffd5b00")
    return creates(fork, body)


def test_seed__same_question_twice_in_a_transaction__two_seeds(fork: Fork) -> None:
    alice = fork.add_operator()
    fork.use_class(DeterminismClass.SEEDED)
    contract = twice(fork)
    nonce = fork.w3.eth.get_transaction_count(fork.user)

    sent = fork.w3.eth.send_transaction(
        {"from": fork.user, "to": contract, "data": fork.infer_data(TOKENS), "gas": 2_000_000}
    )
    receipt = fork.settle("0x" + bytes(sent).hex())

    assert receipt["status"] == 1
    assert len([log for log in receipt["logs"] if bytes(log["topics"][0]) == INFERRED_TOPIC]) == 2
    expected = [
        call_seed(31337, fork.user, nonce + 1, index, contract, fork.model_id, tensor_hash((3, 5)))
        for index in range(2)
    ]
    assert seeds(alice) == expected


def test_seed__after_a_call_that_was_reverted__is_the_next_one(fork: Fork) -> None:
    alice = fork.add_operator()
    fork.use_class(DeterminismClass.SEEDED)
    to = bytes.fromhex(PRECOMPILE[2:])
    load, forward = (
        bytes.fromhex("365f5f37"),
        lambda address: b"".join((bytes.fromhex("5f5f365f5f73"), address, bytes.fromhex("5af1"))),
    )
    reverts = creates(fork, load + forward(to) + bytes.fromhex("5f5ffd"))
    contract = creates(
        fork, load + forward(bytes.fromhex(reverts[2:])) + forward(to) + bytes.fromhex("5f5500")
    )
    nonce = fork.w3.eth.get_transaction_count(fork.user)

    sent = fork.w3.eth.send_transaction(
        {"from": fork.user, "to": contract, "data": fork.infer_data(TOKENS), "gas": 2_000_000}
    )
    receipt = fork.settle("0x" + bytes(sent).hex())

    assert receipt["status"] == 1
    assert len(receipt["logs"]) == 1
    assert seeds(alice) == [
        call_seed(31337, fork.user, nonce + 1, index, caller, fork.model_id, tensor_hash((3, 5)))
        for index, caller in enumerate((reverts, contract))
    ]


def creates(fork: Fork, body: bytes) -> str:
    """A contract of this code."""
    return fork.create(bytes.fromhex(f"60{len(body):02x}600a5f3960{len(body):02x}5ff3") + body)


def test_seed__call__is_that_of_the_transaction_that_would_follow(fork: Fork) -> None:
    alice = fork.add_operator()
    fork.use_class(DeterminismClass.SEEDED)
    call = fork.ask.functions.ask(fork.model_id, list(TOKENS), 1)

    call.call({"from": fork.user})
    fork.settle(fork.send_ask(TOKENS))

    assert len(set(seeds(alice))) == len(alice.asked) == 1


def test_infer__operator_chose_its_seed__does_not_answer(fork: Fork) -> None:
    operator = fork.add_operator()
    operator.change = lambda bundle: reseeded(bundle, operator)
    fork.use_class(DeterminismClass.SEEDED)

    sent = fork.send_ask(TOKENS)

    fork.until(lambda: fork.why(sent)["status"] == "evicted")
    assert fork.why(sent)["reason"] == "BAD_EVIDENCE"


def test_import__answer_for_a_seed_that_the_operator_chose__rejected(fork: Fork) -> None:
    alice = fork.add_operator()
    fork.use_class(DeterminismClass.SEEDED)
    fork.settle(fork.send_ask(TOKENS))
    node = FullNode(fork.config)
    for number in range(1, fork.w3.eth.block_number):
        node.import_block(*fork.sidecar(number))
    block, sidecar, _ = fork.sidecar()
    forged = Sidecar((Answer.of(reseeded(sidecar.answers[0].lead, alice)),))

    assert rejected(node, resealed(decoded(block), forged), forged) == "sidecar order"
    node.import_block(block, sidecar)


@pytest.mark.parametrize(
    ("determinism", "seed", "message"),
    [
        (DeterminismClass.SEEDED, NO_SEED, "has no seed"),
        (DeterminismClass.INTEGER, keccak(text="seed"), "has a seed"),
        (
            DeterminismClass.SEEDED,
            keccak(text="another"),
            "does not follow from chain, model, input and seed",
        ),
    ],
)
def test_check__seed_of_another_class_or_request__refused(
    fork: Fork, determinism: DeterminismClass, seed: bytes, message: str
) -> None:
    manifest = fork.use_class(determinism)
    inputs = manifest.quantise(TOKENS)
    asked = seed if "follow" not in message else keccak(text="seed")
    job = InferenceJob(
        precompile_request_id(31337, fork.model_id, tensor_hash(inputs), asked),
        fork.model_id, inputs, Assurance.SIGNED, 31337, PRECOMPILE, seed,
    )  # fmt: skip
    bundle = fork.add_operator().answer(job)
    with pytest.raises(EvidenceError, match=message):
        fork.chain._core.checker.check(bundle, fork.chain.state())
