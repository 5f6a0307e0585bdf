"""F2 to F10 and F17: a node that fails, forgets, reorganises or lies, and others who are quicker."""

import random
import time

import pytest

from foretell_relayer.deploy import contract, transact
from tests.faults.chaos import ChaosProxy
from tests.faults.observer import DELIVERED, EXPIRED, FINAL, OPEN, nonces_are_whole, observe, seeds
from tests.faults.relays import until
from tests.faults.test_crashes import nonce
from tests.kit.anvil import LIAR, RELAYER

pytestmark = [pytest.mark.anvil, pytest.mark.slow]


def settle(stage, relay, line, requests, status=DELIVERED):
    """Wait until all have a status, and check the promise."""
    until("all settled", lambda: all(stage.status(each) >= status for each in requests))
    line.outcome = observe(stage, requests)
    line.check()


def test_f2__answer_to_a_send_is_lost__one_delivery(stage, make, record):
    line, before = record("F2 answer to a send lost"), nonce(stage)
    with ChaosProxy(stage.anvil.port) as proxy:
        proxy.orders["eth_sendRawTransaction"] = ["lost_answer"]
        relay = make(rpc=proxy.url).start()
        relay.wait_text("relaying")
        request, began = stage.request(), time.monotonic()
        settle(stage, relay, line, [request])
        relay.wait_text("the challenge window is open")
        line.recovery.append(time.monotonic() - began)
        assert proxy.struck == ["lost_answer"]
    assert nonce(stage) == before + 1


def test_f3__transaction_dropped_and_fees_doubled__is_sent_again_for_more(stage, make, record):
    anvil, line, before = stage.anvil, record("F3 dropped, then underpriced"), nonce(stage)
    relay = make().start()
    relay.wait_text("relaying")
    anvil.rpc("evm_setAutomine", False)
    request = ask_without_mining(stage)
    relay.wait_text('"event": "sent"')
    began = time.monotonic()
    anvil.rpc("anvil_dropAllTransactions")
    until("sent again", lambda: relay.text().count('"event": "sent"') >= 2)
    relay.wait_text('"event": "bumped"')
    anvil.rpc("evm_setAutomine", True)
    anvil.rpc("evm_mine")
    settle(stage, relay, line, [request])
    line.recovery.append(time.monotonic() - began)
    assert nonce(stage) == before + 1


def ask_without_mining(stage):
    """A request in a block, after which blocks come no more by themselves."""
    stage.anvil.rpc("evm_setAutomine", True)
    request = stage.request()
    stage.anvil.rpc("evm_setAutomine", False)
    return request


@pytest.mark.parametrize("seed", seeds())
def test_f4__nonces_used_elsewhere__finds_the_next(stage, make, record, seed):
    line, chance = record("F4 nonce used elsewhere", seed), random.Random(seed)
    first, before = stage.anvil.w3.eth.block_number + 1, nonce(stage)
    registry = contract(stage.anvil.w3, "OperatorRegistry", stage.book.operator_registry)
    relay, requests = make().start(), []
    relay.wait_text("relaying")
    for _ in range(3):
        for _ in range(chance.randint(1, 3)):
            transact(stage.anvil.w3, RELAYER, registry.functions.add_bond(), value=1)
        began = time.monotonic()
        requests.append(stage.request())
        until("delivered", lambda: stage.status(requests[-1]) == DELIVERED)
        line.recovery.append(time.monotonic() - began)
    settle(stage, relay, line, requests)
    assert nonces_are_whole(stage, first, before)


@pytest.mark.own_chain
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_f5__reorganised__settles_what_the_chain_has_now(stage, make, record, seed):
    line, chance, anvil = record("F5 reorganised", seed), random.Random(seed), stage.anvil
    early = stage.request()
    anvil.rpc("anvil_mine", 2)
    relay = make(confirmations=chance.choice((1, 2))).start()
    anvil.rpc("evm_setIntervalMining", 1)
    until("delivered", lambda: stage.status(early) == DELIVERED)
    late = stage.request()
    time.sleep(chance.uniform(0, 1.5))
    depth = chance.randint(1, 4)
    anvil.rpc("anvil_reorg", depth, [])
    began = time.monotonic()
    after = stage.request()
    until("the old one again", lambda: stage.status(early) == DELIVERED)
    until("the new one", lambda: stage.status(after) == DELIVERED)
    line.recovery.append(time.monotonic() - began)
    still_there = [each for each in (early, late, after) if stage.status(each)]
    settle(stage, relay, line, set(still_there))


@pytest.mark.parametrize("seed", seeds(1, 6))
def test_f7__every_tenth_call_fails__nothing_is_lost(stage, make, record, seed):
    line = record("F7 a tenth of all calls fail", seed)
    with ChaosProxy(stage.anvil.port, seed, probability=0.1) as proxy:
        relay = make(rpc=proxy.url).start()
        began = time.monotonic()
        requests = [stage.request(provisional=bool(n % 2)) for n in range(4)]
        until("proven", lambda: all(stage.status(each) == FINAL for each in requests[1::2]))
        settle(stage, relay, line, requests)
        line.recovery.append(time.monotonic() - began)
        asked, seconds = proxy.calls, time.monotonic() - began
        assert len(set(proxy.struck)) > 2
        assert asked / seconds < 200  # no busy loop
        assert relay.stop() == 0


def hide_logs(method, parameters, result):
    return [] if method == "eth_getLogs" else result


def stale_head(method, parameters, result):
    if method == "eth_getBlockByNumber" and parameters[0] == "latest" and result:
        stale_head.first = getattr(stale_head, "first", result)
        return stale_head.first
    return result


def no_receipts(method, parameters, result):
    return None if method == "eth_getTransactionReceipt" else result


def other_chain(method, parameters, result):
    return "0x1" if method == "eth_chainId" else result


def doubled_logs(method, parameters, result):
    return list(reversed(result)) * 2 if method == "eth_getLogs" else result


@pytest.mark.parametrize("lie", [hide_logs, stale_head, no_receipts, other_chain, doubled_logs])
def test_f8__preferred_node_of_three_lies__is_put_aside_and_work_goes_on(stage, make, record, lie):
    line = record(f"F8 one of three nodes lies: {lie.__name__}")
    url = stage.anvil.url
    with ChaosProxy(stage.anvil.port) as proxy:
        proxy.lie = lie
        relay = make(rpc=f"{proxy.url},{url},{url}/").start()
        began = time.monotonic()
        requests = [stage.request(), stage.request(provisional=True)]
        until("proven", lambda: stage.status(requests[1]) == FINAL)
        settle(stage, relay, line, requests)
        line.recovery.append(time.monotonic() - began)


def test_f8__one_node_that_doubles_its_logs__works_once(stage, make, record):
    line, before = record("F8 the only node doubles its logs"), nonce(stage)
    with ChaosProxy(stage.anvil.port) as proxy:
        proxy.lie = doubled_logs
        relay = make(rpc=proxy.url).start()
        settle(stage, relay, line, [stage.request()])
    assert nonce(stage) == before + 1


@pytest.mark.parametrize("most", [1, 20])
def test_f9__old_chain_and_a_node_that_gives_few_blocks_at_once__catches_up(stage, make, record, most):
    line = record(f"F9 and F10, {most} blocks at once")

    def too_many(method, parameters, result):
        if method != "eth_getLogs":
            return result
        asked = parameters[0]
        if int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1 > most:
            raise ConnectionError("query exceeds max block range")
        return result

    requests = [stage.request()]
    stage.anvil.rpc("anvil_mine", 25 if most == 1 else 300)
    requests.append(stage.request())
    with ChaosProxy(stage.anvil.port) as proxy:
        proxy.lie = too_many
        relay = make(rpc=proxy.url).start()
        settle(stage, relay, line, requests)
        line.recovery.append(time.monotonic() - relay.started_at)


def test_f17__somebody_else_was_quicker__sends_nothing(stage, make, record, right):
    line, before = record("F17 another operator was quicker"), nonce(stage)
    requests = [stage.request() for _ in range(2)]
    for request in requests:
        stage.deliver(request, right, LIAR)
    relay = make().start()
    relay.wait_text("another operator delivered the same output")
    settle(stage, relay, line, requests)
    assert nonce(stage) == before


def test_f17__deadline_passed_while_it_was_down__closes_the_request(stage, make, record):
    line = record("F17 deadline passed")
    request = stage.request()
    stage.anvil.pass_time(601)
    relay = make().start()
    until("expired", lambda: stage.status(request) == EXPIRED)
    line.recovery.append(time.monotonic() - relay.started_at)
    line.outcome = observe(stage, [request])
    line.check()
    assert (line.outcome.expired, stage.events("Delivered"), OPEN) == (1, [], 1)
