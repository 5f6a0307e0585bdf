"""Questions of transactions that came to no block, and how they are forgiven."""

import pytest

from foretell_evm.unlanded import Unlanded

ALICE, BOB = b"\1" * 20, b"\2" * 20


def test_charge__adds_up_for_its_sender_alone() -> None:
    unlanded = Unlanded(60.0)
    unlanded.charge(ALICE, 3, now=0.0)
    unlanded.charge(ALICE, 2, now=0.0)
    assert (unlanded.count(ALICE, 0.0), unlanded.count(BOB, 0.0)) == (5, 0)


def test_count__one_is_forgiven_in_each_period_and_never_more_than_all() -> None:
    unlanded = Unlanded(60.0)
    unlanded.charge(ALICE, 3, now=100.0)
    assert unlanded.count(ALICE, 160.0) == pytest.approx(2)
    assert unlanded.count(ALICE, 10_000.0) == 0
    unlanded.charge(ALICE, 1, now=10_000.0)
    assert unlanded.count(ALICE, 10_000.0) == 1


def test_charge__of_more_senders_than_are_remembered__forgets_the_oldest() -> None:
    unlanded = Unlanded(60.0)
    for number in range(4097):
        unlanded.charge(number.to_bytes(20, "big"), 1, now=0.0)
    assert unlanded.count((0).to_bytes(20, "big"), 0.0) == 0
    assert unlanded.count((1).to_bytes(20, "big"), 0.0) == 1
