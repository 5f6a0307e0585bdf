import asyncio

import pytest

from foretell_relayer.chain import Event
from foretell_relayer.errors import ChainChanged, Reorganised, RpcRefused, RpcUnreachable, TooDeep
from foretell_relayer.records import BlockRef
from foretell_relayer.watch import watcher as watching
from foretell_relayer.watch.ranges import Ranges
from foretell_relayer.watch.watcher import Watcher
from foretell_spec.assurance import Assurance
from foretell_spec.terms import Terms
from tests.kit.relay import MANIFEST, FakeChain, make_context, make_found, request_id, requested, wads


@pytest.fixture
def chain():
    return FakeChain()


@pytest.fixture
def context(tmp_path, chain):
    made = make_context(tmp_path, chain)
    yield made
    made.journal.close()


@pytest.fixture
def watcher(context):
    return Watcher(context)


def look(watcher):
    asyncio.run(watcher.look())


def ask(chain, number=0, **overrides):
    """A block with a request."""
    block = chain.mine()
    chain.logs.append(requested(make_found(number, block_number=block.number, **overrides), block))
    return block


def ids(context):
    return {row.request_id for row in context.journal.rows()}


def test_look__new_request__is_journalled_with_the_block_that_was_read(watcher, chain, context):
    block = ask(chain)
    look(watcher)

    assert context.journal.get(request_id(0)).found == make_found(block_number=block.number)
    assert context.journal.checkpoints()[0] == block


def test_look__again__reads_only_what_is_new(watcher, chain):
    ask(chain)
    look(watcher)
    look(watcher)
    chain.mine(2)
    look(watcher)

    assert chain.asked == [(0, 1), (2, 3)]


def test_look__model_of_others__is_left_to_them(watcher, chain, context):
    ask(chain, model_id=b"\x99" * 32)
    look(watcher)

    assert ids(context) == set()


def test_look__receipt__is_a_request_that_was_delivered_already(watcher, chain, context):
    block = chain.mine()
    found = make_found()
    args = {
        "request_id": found.request_id, "model_id": found.model_id, "requester": found.requester,
        "nonce": 0, "inputs": wads((3, -4)), "terms": Terms.of(MANIFEST).word, "created_at": 1,
        "receipt_id": b"\3" * 32, "operator": found.requester, "output_hash": b"\4" * 32,
        "assurance": 1, "value_at_risk": 55, "fee": 7,
    }  # fmt: skip
    chain.logs.append(Event("ReceiptSettled", block, args))
    look(watcher)

    row = context.journal.get(found.request_id)
    assert (row.found.from_receipt, row.found.value_at_risk) == (True, 55)
    assert row.found.min_assurance is Assurance.SIGNED


def test_look__confirmations__reads_no_younger_block(tmp_path, chain):
    context = make_context(tmp_path / "deep", chain, confirmations=3)
    ask(chain)
    chain.mine()
    look(Watcher(context))
    assert ids(context) == set()

    chain.mine()
    look(Watcher(context))
    assert ids(context) == {request_id(0)}


def test_look__limit_on_ranges__halves_until_the_node_agrees_and_misses_nothing(tmp_path, chain):
    context = make_context(tmp_path / "limited", chain)
    for number in range(40):
        ask(chain, number)
    chain.most_blocks = 3
    look(Watcher(context))

    assert ids(context) == {request_id(number) for number in range(40)}
    read = [(first, last) for first, last in chain.asked if last - first < 3]
    assert [first for first, _ in read] == [0, *(last + 1 for _, last in read[:-1])]


def test_look__one_block_is_too_much__gives_the_error_on_and_skips_nothing(watcher, chain, context):
    ask(chain)
    chain.most_blocks = 0

    with pytest.raises(RpcRefused):
        look(watcher)
    chain.most_blocks = 100
    look(watcher)
    assert ids(context) == {request_id(0)}


@pytest.mark.parametrize("call", ["chain_id", "head", "block"])
def test_look__node_fails__goes_on_from_the_same_block(watcher, chain, context, call):
    ask(chain)
    chain.fail[call] = [RpcUnreachable("down")]

    with pytest.raises(RpcUnreachable):
        look(watcher)
    look(watcher)
    assert ids(context) == {request_id(0)}


def test_look__reorganised__goes_back_and_reads_the_new_branch(watcher, chain, context):
    chain.mine(3)
    look(watcher)
    ask(chain, 0)
    look(watcher)
    chain.reorganise(3, 1, "b")
    block = ask(chain, 1)
    look(watcher)

    assert ids(context) == {request_id(0), request_id(1)}
    assert context.journal.checkpoints()[0] == block
    assert {row.request_id for row in context.journal.due(0)} == {request_id(0), request_id(1)}


def test_look__everything_reorganised__reads_all_again(watcher, chain, context):
    chain.mine(3)
    look(watcher)
    chain.reorganise(0, 2, "b")
    ask(chain)
    look(watcher)

    assert ids(context) == {request_id(0)}


def test_look__reorganised_deeper_than_memory__stops(watcher, chain, context, monkeypatch):
    monkeypatch.setattr(watching, "KEPT_BLOCKS", 1)
    chain.mine(3)
    look(watcher)
    chain.reorganise(0, 9, "b")

    with pytest.raises(TooDeep):
        look(watcher)


def test_look__log_of_a_block_that_was_replaced__is_not_believed(watcher, chain, context):
    block = ask(chain)
    chain.logs[0] = requested(make_found(), BlockRef(block.number, b"\x66" * 32))

    with pytest.raises(Reorganised):
        look(watcher)
    assert ids(context) == set()
    assert context.journal.checkpoints() == []


def test_look__log_from_outside_the_range__is_not_believed(watcher, chain, context):
    ask(chain)

    async def lie(first, last):
        return [requested(make_found(), BlockRef(77, b"\x66" * 32))]

    chain.events = lie
    with pytest.raises(RpcRefused, match="block 77"):
        look(watcher)
    assert ids(context) == set()


def test_look__other_chain_id__stops(watcher, chain):
    look(watcher)
    chain.id = 1

    with pytest.raises(ChainChanged, match="chain 1 now"):
        look(watcher)


def test_look__other_genesis_after_an_outage__stops(watcher, chain):
    look(watcher)
    chain.blocks[0] = BlockRef(0, b"\x13" * 32)
    watcher.doubt()

    with pytest.raises(ChainChanged, match="genesis"):
        look(watcher)


def test_ranges__success__grow_again_up_to_a_limit():
    ranges = Ranges(start=4, most=6)
    assert [ranges.failed(), ranges.length, ranges.failed(), ranges.length, ranges.failed()] == [
        True, 2, True, 1, False,
    ]  # fmt: skip
    for _ in range(9):
        ranges.succeeded()
    assert ranges.length == 6
    assert ranges.next(10, 12) == (10, 12)
    assert ranges.next(10, 99) == (10, 15)
