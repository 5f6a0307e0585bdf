"""The mempool: order, room, replacement, and the end of each transaction."""

from dataclasses import dataclass, field

import pytest

from foretell_evm.config import PoolLimits
from foretell_evm.errors import TransactionRejected
from foretell_evm.mempool import Entry, Eviction, Mempool, Stage
from foretell_spec.bundle import Bundle
from foretell_spec.reasons import Reason
from foretell_spec.sidecar import Answer
from tests.kit.fork import address_of

ALICE, BOB = b"\1" * 20, b"\2" * 20


@dataclass(frozen=True)
class Transaction:
    """What the mempool looks at."""

    sender: bytes
    nonce: int
    fee: int = 100
    gas: int = 21_000
    value: int = 0

    @property
    def hash(self) -> bytes:
        return repr(self).encode().ljust(32)

    @property
    def max_fee_per_gas(self) -> int:
        return self.fee

    max_priority_fee_per_gas = max_fee_per_gas


@dataclass
class Question:
    """What somebody waits for."""

    withdrawn: list[bool] = field(default_factory=list)

    def withdraw(self) -> None:
        self.withdrawn.append(True)


def answer(number: int) -> Answer:
    return Answer.of(Bundle(b"\1" * 32, b"\2" * 32, (1,), (number,), address_of(0x1000)))


def add(mempool: Mempool, transaction: Transaction, *answers: Answer) -> Entry:
    entry = mempool.add(transaction)
    entry.stage, entry.answers = Stage.READY, answers
    return entry


def nothing_mined(sender: bytes) -> int:
    return 0


def test_ready__best_fee_first_and_senders_in_nonce_order() -> None:
    mempool = Mempool(PoolLimits())
    low = [add(mempool, Transaction(ALICE, nonce, fee)).transaction for nonce, fee in enumerate((10, 90))]
    high = add(mempool, Transaction(BOB, 0, 50)).transaction
    assert mempool.ready(nothing_mined, 0) == [high, *low]


def test_ready__behind_a_gap_or_one_that_waits__not_taken() -> None:
    mempool = Mempool(PoolLimits())
    first = add(mempool, Transaction(ALICE, 0))
    add(mempool, Transaction(ALICE, 2))
    add(mempool, Transaction(BOB, 0)).stage = Stage.WAITING
    add(mempool, Transaction(BOB, 1))
    assert mempool.ready(nothing_mined, 0) == [first.transaction]


def test_ready__nonce_that_the_state_has_passed__does_not_stop_the_next() -> None:
    mempool = Mempool(PoolLimits())
    add(mempool, Transaction(ALICE, 3))
    next_ = add(mempool, Transaction(ALICE, 7))
    assert mempool.ready(lambda sender: 7, 0) == [next_.transaction]


def test_ready__more_bundles_than_a_block_has_room_for__later_ones_wait_with_what_follows_them() -> None:
    mempool = Mempool(PoolLimits(bundles_per_block=2))
    first = add(mempool, Transaction(ALICE, 0, 90), answer(1), answer(2))
    same = add(mempool, Transaction(BOB, 0, 80), answer(2))
    crowded = add(mempool, Transaction(BOB, 1, 70), answer(3))
    behind = add(mempool, Transaction(BOB, 2, 60))
    plain = add(mempool, Transaction(b"\3" * 20, 0, 10))
    ready = mempool.ready(nothing_mined, 0)
    assert ready == [each.transaction for each in (first, same, plain)]
    assert [each.is_crowded_out for each in (first, same, crowded, behind)] == [False, False, True, False]


def test_ready__of_many_who_do_not_fit__reads_no_nonce_of_theirs() -> None:
    mempool, read = Mempool(PoolLimits(bundles_per_block=1)), []
    for number in range(50):
        add(mempool, Transaction(number.to_bytes(20, "big"), 0), answer(number))
    assert len(mempool.ready(lambda sender: read.append(sender) or 0, 0)) == 1
    assert len(read) == 1


def test_evict__takes_the_question_back_and_remembers_why() -> None:
    mempool = Mempool(PoolLimits())
    entry = mempool.add(Transaction(ALICE, 0))
    entry.question = question = Question()
    mempool.evict(entry.transaction.hash, Eviction(Reason.TIMEOUT, "late"))
    assert question.withdrawn
    assert mempool.eviction(entry.transaction.hash) == Eviction(Reason.TIMEOUT, "late")
    assert len(mempool) == 0


def test_add__in_place_of_another__keeps_its_question_until_the_newcomer_has_asked() -> None:
    mempool = Mempool(PoolLimits())
    old = mempool.add(Transaction(ALICE, 0, 100))
    old.question = question = Question()
    new = mempool.add(Transaction(ALICE, 0, 110))
    assert new.superseded is question
    assert not question.withdrawn
    mempool.remove(new.transaction.hash)
    assert question.withdrawn


def test_add__in_place_of_another_for_less_than_a_tenth_more__refused() -> None:
    mempool = Mempool(PoolLimits())
    old = mempool.add(Transaction(ALICE, 0, 100))
    with pytest.raises(TransactionRejected, match="underpriced"):
        mempool.add(Transaction(ALICE, 0, 109))
    assert mempool.get(old.transaction.hash) is old


def test_expire__evicts_the_old_alone() -> None:
    mempool = Mempool(PoolLimits(lifetime=100.0))
    old, new = mempool.add(Transaction(ALICE, 0)), mempool.add(Transaction(ALICE, 1))
    old.since -= 101.0
    mempool.expire()
    assert mempool.eviction(old.transaction.hash).reason is Reason.EXPIRED
    assert mempool.get(new.transaction.hash) is new


@pytest.mark.parametrize(
    ("reason", "charged"),
    [(Reason.REPLACED, 3), (Reason.EXPIRED, 3), (Reason.TIMEOUT, 0), (Reason.DROPPED, 0)],
)
def test_evict__at_the_senders_cost_where_it_is_the_cause(reason: Reason, charged: int) -> None:
    mempool = Mempool(PoolLimits())
    entry = mempool.add(Transaction(ALICE, 0))
    entry.rounds = 3
    mempool.evict(entry.transaction.hash, Eviction(reason, ""))
    assert mempool.unlanded(ALICE) == charged


def test_remove__of_what_is_in_a_block__costs_nothing() -> None:
    mempool = Mempool(PoolLimits())
    entry = mempool.add(Transaction(ALICE, 0))
    entry.rounds = 3
    mempool.remove(entry.transaction.hash)
    assert mempool.unlanded(ALICE) == 0
    assert mempool.eviction(entry.transaction.hash) is None


def test_cost__up_to_a_transaction__of_those_before_it_and_itself() -> None:
    mempool = Mempool(PoolLimits())
    entries = [mempool.add(Transaction(ALICE, nonce, 10, 100, value=5)) for nonce in range(3)]
    assert [mempool.cost_up_to(entry) for entry in entries] == [1005, 2010, 3015]


def test_clear__ends_all_with_the_reason() -> None:
    mempool = Mempool(PoolLimits())
    entries = [mempool.add(Transaction(ALICE, nonce)) for nonce in range(3)]
    mempool.clear(Eviction(Reason.DROPPED, "gone"))
    assert len(mempool) == 0
    assert all(mempool.eviction(each.transaction.hash) for each in entries)
