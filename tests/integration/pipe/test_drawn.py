"""Whom the pool draws: bonds of the head's state, a seed that nobody knows before."""

from collections.abc import Iterator

import pytest

from foretell_evm.config import ChainConfig
from foretell_evm.evidence import EvidenceChecker
from foretell_evm.judge import HeadJudge
from foretell_spec.tensor import WAD
from tests.kit.fork import ETHER, GENESIS_TIME, Fork

NAMES = ("alice", "bob", "carol", "dave")


@pytest.fixture
def fork() -> Iterator[Fork]:
    made = Fork(ChainConfig(genesis_time=GENESIS_TIME))
    yield made
    made.close()


def orders(fork: Fork, count: int = 12) -> list[tuple[str, ...]]:
    requests = (fork.job((WAD * number, WAD)).request_id for number in range(count))
    return [tuple(fork.chain.pool.drawn(request)) for request in requests]


def test_drawn__bonded_and_attached__all_of_them(fork: Fork) -> None:
    operators = {fork.add_operator(name).address for name in NAMES}
    assert all(set(order) == operators for order in orders(fork))
    assert orders(fork) == orders(fork)


def test_drawn__without_a_bond_or_with_one_that_leaves__not(fork: Fork) -> None:
    alice, bob = fork.add_operator("alice"), fork.add_operator("bob")
    fork.add_operator("mallory", bond=0)
    unbond = fork.operators.functions.begin_unbond(10 * ETHER)
    built = unbond.build_transaction({"from": alice.address, "gas": 200_000, "nonce": 1})
    signed = fork.w3.eth.account.sign_transaction(built, alice.key.to_bytes())
    fork.w3.eth.send_raw_transaction(signed.raw_transaction)
    assert set(orders(fork)) == {(bob.address,)}


def test_drawn__after_another_block__anew(fork: Fork) -> None:
    for name in NAMES:
        fork.add_operator(name)
    before = orders(fork)
    fork.chain.mine()
    assert orders(fork) != before


def test_drawn__by_another_node_at_the_same_head__otherwise(fork: Fork) -> None:
    """Its salt is its own, so nobody who knows the chain knows the draw."""
    operators = [fork.add_operator(name).address for name in NAMES]
    checker = EvidenceChecker(fork.config.chain_id, fork.config.quorum)
    nodes = [HeadJudge(checker, lambda: fork.chain.head, fork.chain.state) for _ in range(2)]
    requests = [fork.job((WAD * number, WAD)).request_id for number in range(12)]
    first, second = ([node.draw(request, operators) for request in requests] for node in nodes)
    assert first != second


def test_drawn__with_nearly_all_bonds__nearly_always_first(fork: Fork) -> None:
    whale = fork.add_operator("alice", bond=9_000 * ETHER)
    for name in NAMES[1:]:
        fork.add_operator(name, bond=ETHER)
    firsts = [order[0] for order in orders(fork, 60)]
    # One in 3,000 goes to another; five of sixty would be chance once in 10^10 runs.
    assert firsts.count(whale.address) >= 56
