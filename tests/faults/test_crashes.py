"""F1: killed anywhere. Whatever was half done is finished, and nothing is done twice."""

import random
import time

import pytest

from tests.faults.observer import DELIVERED, FINAL, long_profile, nonces_are_whole, observe, seeds
from tests.faults.relays import until

pytestmark = [pytest.mark.anvil, pytest.mark.slow]
KINDS = ({}, {"provisional": True}, {"min_assurance": 4})
"""A signed delivery, one that is proven at once after it, and one that is proven with it."""


def ask(stage, seed):
    """Requests of all kinds, in an order of the seed."""
    kinds = list(KINDS)
    random.Random(seed).shuffle(kinds)
    return [stage.request(**kind) for kind in kinds]


def is_over(stage, requests):
    return all(stage.status(each) in (DELIVERED, FINAL) for each in requests) and (
        sum(stage.status(each) == FINAL for each in requests) == len(requests) - 1
    )


def count_points(stage, make, tmp_path, seed):
    """How many crash points a quiet run passes, until all is settled and followed to its end."""
    passed = tmp_path / "points"
    relay = make("quiet")
    requests = ask(stage, seed)
    relay.start(crash=(str(passed), None))
    until("all settled", lambda: is_over(stage, requests))
    relay.wait_text("the challenge window is open")
    relay.stop()
    return passed.read_text().split()


@pytest.mark.parametrize("seed", seeds(1, 3))
def test_crash_points__any_of_them__same_end(stage, make, tmp_path, record, seed):
    points = count_points(stage, make, tmp_path, seed)
    names = set(points)
    wanted = """
        write.before write.uncommitted write.after sign_transaction.before sign_transaction.after
        sign_bundle.before sign_bundle.after send.before send.after receipt.before receipt.after
        infer.before infer.after prove.before prove.after
    """
    assert set(wanted.split()) <= names
    chance = random.Random(seed)
    if long_profile():
        chosen = range(1, len(points) + 1)
    else:  # one of each kind, wherever it comes
        chosen = sorted(
            chance.choice([n for n, each in enumerate(points, 1) if each == name]) for name in names
        )
        chosen = chance.sample(chosen, 6)
    for number in chosen:
        crash_once(stage, make, tmp_path, record(f"F1 killed at {points[number - 1]}", seed), number)


def crash_once(stage, make, tmp_path, line, number):
    snapshot = stage.anvil.rpc("evm_snapshot")
    first, before = stage.anvil.w3.eth.block_number + 1, nonce(stage)
    relay = make(f"at-{number}")
    requests = ask(stage, line.seed)
    relay.start(crash=(str(tmp_path / "passed"), number))
    until("the crash", lambda: not relay.process.is_alive() or is_over(stage, requests))
    relay.kill()
    relay.start()
    line.recovery.append(relay.wait_text('"event": "relaying"'))
    until(f"all settled after a crash at point {number}", lambda: is_over(stage, requests))
    until("all nonces used", lambda: nonces_are_whole(stage, first, before))
    relay.stop()
    line.outcome = observe(stage, requests)
    line.check()
    assert stage.anvil.rpc("evm_revert", snapshot)


def nonce(stage):
    from tests.kit.anvil import RELAYER

    return stage.anvil.w3.eth.get_transaction_count(RELAYER.address)


@pytest.mark.parametrize("seed", seeds(1, 3))
def test_kill_loop__requests_come_all_the_time__each_is_settled_once(stage, make, record, seed):
    kills = 170 if long_profile() else 6
    chance, line, requests = random.Random(seed), record("F1 killed at random", seed), []
    first, before = stage.anvil.w3.eth.block_number + 1, nonce(stage)
    stage.anvil.rpc("evm_setIntervalMining", 1)
    relay = make()
    for _ in range(kills):
        requests.append(stage.request(**chance.choice(KINDS), deadline=2**62))
        relay.start()
        line.recovery.append(relay.wait_text('"event": "relaying"'))
        time.sleep(chance.uniform(0, 2.0))
        relay.kill()
    relay.start()
    until("all delivered", lambda: all(stage.status(each) in (DELIVERED, FINAL) for each in requests))
    until("all followed", lambda: nonces_are_whole(stage, first, before))
    relay.stop()
    line.outcome = observe(stage, requests)
    line.check()
    assert line.outcome.settled == len(requests)
