"""Several nodes of one chain, some of which fail, lag, or lie."""

import asyncio

import pytest

from foretell_relayer import nodes as module
from foretell_relayer.chain import Head, TransactionReceipt
from foretell_relayer.core import Status
from foretell_relayer.errors import (
    ChainChanged,
    NotSettlement,
    RpcDisagreed,
    RpcRefused,
    RpcUnreachable,
    WouldRevert,
)
from foretell_relayer.nodes import DISTRUST, FAILURES, PAUSE, STALE_AFTER, Nodes
from foretell_relayer.records import BlockRef
from tests.kit.relay import DELIVERY, OPERATOR, REQUEST, FakeChain, a_view, make_found, request_id, requested

TX = b"\7" * 32


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Node(FakeChain):
    """One node. ``down`` fails every call; ``closed`` tells whether it was closed."""

    down = False
    closed = False
    settled = True

    def _check(self, name):
        super()._check(name)
        if self.down:
            raise RpcUnreachable("down")

    async def connect(self):
        self._check("connect")
        if not self.settled:
            raise NotSettlement("no code")

    async def close(self):
        self.closed = True

    async def nonce(self, sender):
        self._check("nonce")
        return self.used

    async def balance(self, account):
        self._check("balance")
        return self.wealth

    async def signer_of(self, operator):
        self._check("signer_of")
        return operator

    async def standing(self, operator):
        self._check("standing")
        return await super().standing(operator)

    async def dispute_bond(self):
        self._check("dispute_bond")
        return 1


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def three(clock):
    return build(clock, 3)


def build(clock, number):
    chains = [Node() for _ in range(number)]
    for chain in chains:
        chain.mine(9)
    made = Nodes([(f"node {n}", chain) for n, chain in enumerate(chains, 1)], clock=clock)
    run(made.connect())
    return made, chains


def run(awaitable):
    return asyncio.run(awaitable)


def aside(made):
    return [label for label, up in made.health().items() if not up]


def test_nodes__all_well__answer_as_one(three):
    made, chains = three

    assert run(made.head()).ref.number == 9
    assert run(made.block(3)) == chains[0].blocks[3]
    assert run(made.signer_of(OPERATOR)) == OPERATOR
    assert aside(made) == []
    run(made.close())
    assert all(chain.closed for chain in chains)


def test_standing__preferred_one_down__is_told_by_the_next(three):
    made, chains = three
    chains[0].down, chains[1].credit = True, 5

    assert run(made.standing(OPERATOR)).credit == 5


def test_receipt__price_that_one_node_does_not_tell__is_no_contradiction(three):
    made, chains = three
    block = chains[0].blocks[3]
    for chain, price in zip(chains, (7, 0, 0), strict=True):
        chain.receipts[TX] = TransactionReceipt(block, True, 21_000, price)

    assert run(made.receipt(TX)).gas_used == 21_000
    assert aside(made) == []


# ------------------------------------------------------------------------------------------ failing


def test_first__preferred_one_down__asks_the_next_and_puts_it_aside_after_a_while(three, clock):
    made, chains = three
    chains[0].down, chains[1].wealth = True, 5
    for _ in range(FAILURES):
        assert aside(made) == []
        assert run(made.balance(OPERATOR)) == 5
    assert aside(made) == ["node 1"]

    chains[0].down = False
    assert run(made.balance(OPERATOR)) == 5
    clock.now += PAUSE
    assert run(made.balance(OPERATOR)) == chains[0].wealth


def test_first__all_down__says_so_and_tries_again_at_once(three):
    made, chains = three
    for chain in chains:
        chain.down = True
    for _ in range(FAILURES + 1):
        with pytest.raises(RpcUnreachable):
            run(made.balance(OPERATOR))

    chains[2].down = False
    assert run(made.balance(OPERATOR)) == chains[2].wealth


def test_first__would_revert__is_an_answer_and_no_failure(three):
    made, chains = three
    chains[0].fail["simulate"] = [WouldRevert("settlement: request not open")]

    with pytest.raises(WouldRevert):
        run(made.trial(OPERATOR, b"", 1))


def test_admit__back_on_another_chain__is_not_asked_again(three, clock):
    made, chains = three
    chains[0].down = True
    with pytest.raises(RpcUnreachable):
        run(made._ask(made._nodes[0], lambda chain: chain.balance(OPERATOR)))
    chains[0].down, chains[0].id, chains[1].wealth = False, 1, 5

    assert run(made.balance(OPERATOR)) == 5
    assert aside(made) == ["node 1"]
    clock.now += PAUSE
    assert aside(made) == ["node 1"]


def test_admit__another_genesis__is_not_asked(clock):
    chains = [Node(), Node(), Node()]
    chains[2].blocks[0] = BlockRef(0, rb"\9" * 32)
    made = Nodes([(f"node {n}", chain) for n, chain in enumerate(chains, 1)], clock=clock)
    run(made.connect())
    run(made.head())

    assert aside(made) == ["node 3"]


def test_connect__no_settlement_anywhere__says_so(clock):
    chains = [Node(), Node()]
    for chain in chains:
        chain.settled = False
    made = Nodes([("a", chains[0]), ("b", chains[1])], clock=clock)

    with pytest.raises(NotSettlement):
        run(made.connect())


def test_usable__every_one_lied__none_is_asked(clock):
    made, _ = build(clock, 2)
    for node in made._nodes:
        made._failed(node, ChainChanged("another chain"))

    with pytest.raises(RpcUnreachable, match="every node was put aside"):
        run(made.balance(OPERATOR))


# ------------------------------------------------------------------------------------------ lying


def lie(chain, number):
    chain.blocks[number] = BlockRef(number, b"\6" * 32)


def test_agree__one_of_three_lies__majority_holds_and_it_is_put_aside(three, clock):
    made, chains = three
    run(made.head())
    lie(chains[0], 5)

    assert run(made.block(5)) == chains[1].blocks[5]
    assert aside(made) == ["node 1"]
    clock.now += PAUSE
    assert aside(made) == ["node 1"]
    clock.now += DISTRUST
    assert aside(made) == []


def test_agree__one_of_two_lies__nothing_is_believed(clock):
    made, chains = build(clock, 2)
    run(made.head())
    lie(chains[0], 5)

    with pytest.raises(RpcDisagreed, match="node 1 and node 2"):
        run(made.block(5))


def test_agree__one_left__is_believed(three):
    made, chains = three
    chains[0].down = chains[1].down = True

    assert run(made.block(5)) == chains[2].blocks[5]


def test_events__one_hides_a_request__it_is_found_all_the_same(three):
    made, chains = three
    run(made.head())
    event = requested(make_found(), chains[0].blocks[4])
    for chain in chains[1:]:
        chain.logs.append(event)

    assert run(made.events(0, 9)) == [event]
    assert aside(made) == ["node 1"]


def test_events__one_makes_a_request_up__it_is_not_believed(three):
    made, chains = three
    run(made.head())
    chains[0].logs.append(requested(make_found(), chains[0].blocks[4]))

    assert run(made.events(0, 9)) == []
    assert aside(made) == ["node 1"]


def test_block__node_that_lags__is_not_asked_and_not_called_a_liar(three):
    made, chains = three
    del chains[0].blocks[6:]
    run(made.head())

    assert run(made.block(8)) == chains[1].blocks[8]
    assert aside(made) == []


def test_head__one_far_ahead__moves_nothing(three):
    made, chains = three
    chains[0].mine(1000)

    assert run(made.head()).ref.number == 9


@pytest.mark.parametrize(("number", "height"), [(1, 12), (2, 9), (3, 9)])
def test_head__one_is_newer__is_where_most_are(clock, number, height):
    made, chains = build(clock, number)
    chains[0].mine(3)

    assert run(made.head()).ref.number == height


def test_head__one_stands_still__is_put_aside_and_the_others_go_on(clock):
    made, chains = build(clock, 2)
    run(made.head())
    clock.now += STALE_AFTER + 1
    chains[1].mine(3)
    run(made.head())
    assert aside(made) == ["node 1"]

    assert run(made.head()).ref.number == 12


def test_nonce__one_makes_it_up__is_where_most_are(three):
    made, chains = three
    chains[0].used, chains[1].used, chains[2].used = 900, 4, 4

    assert run(made.nonce(OPERATOR)) == 4


def included(chain, success=True):
    chain.receipts[TX] = TransactionReceipt(chain.blocks[4], success, 21_000)


def test_receipt__one_makes_it_up_or_hides_it__majority_holds(three, clock):
    made, chains = three
    included(chains[0])
    assert run(made.receipt(TX)) is None
    assert aside(made) == ["node 1"]

    clock.now += DISTRUST
    included(chains[1])
    assert run(made.receipt(TX)) == chains[0].receipts[TX]
    assert aside(made) == []


def test_receipt__one_of_two_says_that_it_failed__is_not_known_yet(clock):
    made, chains = build(clock, 2)
    included(chains[0], success=False)
    included(chains[1])

    assert run(made.receipt(TX)) is None


def test_send__goes_to_all__and_one_that_takes_it_is_enough(three):
    made, chains = three
    chains[0].fail["send"] = [RpcRefused("internal error")]
    run(made.send(b"raw"))
    assert [chain.sent for chain in chains] == [[b"raw"]] * 3
    assert run(made.is_known(module_hash(b"raw")))

    for chain in chains:
        chain.fail["send"] = [RpcRefused("nonce too low")]
    with pytest.raises(RpcRefused, match="nonce too low"):
        run(made.send(b"raw"))


def module_hash(raw):
    from eth_utils import keccak

    return keccak(raw)


def test_view__at_a_block__has_to_be_agreed_and_now_is_the_first_ones(three):
    made, chains = three
    run(made.head())
    final, opened = a_view(Status.FINAL), a_view(Status.OPEN)
    chains[0].views[request_id(0)] = final
    for chain in chains[1:]:
        chain.views[request_id(0)] = opened

    assert run(made.view(request_id(0), 1)) == final
    assert run(made.view(request_id(0), 1, 5)) == opened


def test_structs__preferred_node_is_down__come_from_the_next(three):
    made, chains = three
    chains[0].fail["structs"] = [RpcUnreachable("down")]

    assert run(made.structs(request_id(0), 1)) == (REQUEST, DELIVERY)


def test_everybody__mistake_of_ours__is_not_swallowed(three):
    made, chains = three
    chains[1].fail["nonce"] = [ZeroDivisionError()]

    with pytest.raises(ZeroDivisionError):
        run(made.nonce(OPERATOR))


def test_where_most_are__head_of_one__is_itself():
    head = Head(BlockRef(1, b""), 0, 0)
    assert module._where_most_are([head], key=lambda each: each.ref.number) is head
