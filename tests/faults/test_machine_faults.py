"""F11 to F15, F18 to F22 and F24: disks, clocks, second instances, provers, money, signers and secrets."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from eth_account import Account

from foretell_relayer.core import RECHECK
from tests.faults.chaos import ChaosProxy
from tests.faults.observer import DELIVERED, FINAL, OPEN, observe, seeds
from tests.faults.relays import until
from tests.faults.test_crashes import nonce
from tests.faults.test_node_faults import settle
from tests.kit.anvil import RELAYER
from tests.kit.web3signer import Web3Signer

pytestmark = [pytest.mark.anvil, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave no byte."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return ballast


def test_f11__disk_full__waits_and_goes_on(stage, make, record, small_disk):
    line = record("F11 disk full")
    relay = make(journal=small_disk / "relay.sqlite3").start()
    relay.wait_text("relaying")
    ballast = fill(small_disk)
    request = stage.request(provisional=True)
    relay.wait_text("R-JNL-006")
    assert stage.status(request) == OPEN
    began = time.monotonic()
    ballast.unlink()
    settle(stage, relay, line, [request], FINAL)
    line.recovery.append(time.monotonic() - began)


@pytest.mark.parametrize("seed", seeds(1, 5))
def test_f12__journal_damaged__is_refused_and_a_new_one_finds_all_on_the_chain(stage, make, record, seed):
    line, before, chance = record("F12 journal damaged", seed), nonce(stage), random.Random(seed)
    relay = make().start()
    done = stage.request(provisional=True)
    until("proven", lambda: stage.status(done) == FINAL)
    relay.kill()
    path = relay.settings["journal"]
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    data = bytearray(path.read_bytes())
    for page in chance.sample(range(len(data) // 4096), 5):
        data[page * 4096 : page * 4096 + 100] = chance.randbytes(100)
    path.write_bytes(data)
    relay.start()
    assert relay.wait_end() == 1
    assert "R-JNL-003" in relay.text()

    waiting = stage.request()
    fresh = make("fresh").start()
    settle(stage, fresh, line, [done, waiting])
    line.recovery.append(time.monotonic() - fresh.started_at)
    assert nonce(stage) == before + 3


def test_f13__leader_stopped_for_longer_than_its_lease__is_replaced_and_ends(stage, make, record):
    line, before = record("F13 two instances"), nonce(stage)
    first, second = make("first"), make("second")
    second.settings["journal"] = first.settings["journal"]
    first.start(short_lease=2.0)
    first.wait_text("relaying")
    second.start(short_lease=2.0)
    assert second.wait_end() == 1
    assert "R-JNL-001" in second.text()

    first.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    request = stage.request(provisional=True)
    second.start(short_lease=2.0)
    settle(stage, second, line, [request], FINAL)
    line.recovery.append(time.monotonic() - second.started_at)
    first.send_signal(signal.SIGCONT)
    assert first.wait_end() == 1
    assert "R-JNL-005" in first.text()
    assert nonce(stage) == before + 2


@pytest.mark.parametrize("hours", [-1, 1])
def test_f14__clock_jumps_by_an_hour__goes_by_the_chain(stage, make, record, hours):
    line, relay = record(f"F14 clock {hours:+} h"), make()
    first = stage.request(provisional=True)
    relay.start()
    until("proven", lambda: stage.status(first) == FINAL)
    relay.kill()  # in the journal are times of an hour that is not now
    second = stage.request(provisional=True)
    relay.start(clock_is_wrong=3600.0 * hours)
    settle(stage, relay, line, [first, second], FINAL)
    line.recovery.append(time.monotonic() - relay.started_at)


def test_f15__prover_s_proof_is_damaged__is_never_sent_and_made_again(stage, make, record, tmp_path):
    line, before = record("F15 damaged proof"), nonce(stage)
    relay = make().start(prover_lies_once=str(tmp_path / "lied"))
    request = stage.request(min_assurance=4)
    settle(stage, relay, line, [request], FINAL)
    line.recovery.append(time.monotonic() - relay.started_at)
    assert "proof_rejected" in relay.text()
    assert nonce(stage) == before + 1


def test_f15_f22__prover_always_fails__others_go_on_and_the_breaker_opens(stage, make, record):
    line = record("F15, F22 prover always fails")
    relay = make(breaker_after=3, breaker_pause=600.0).start(prover_fails="no memory, by order of the test")
    signed = stage.request()
    relay.wait_text('"event": "included"')
    asked = [stage.request(min_assurance=4) for _ in range(3)]
    until("all have failed", lambda: relay.text().count("model_failed") == 3)
    later = stage.request()
    relay.wait_text("R-SUB-005")
    assert [stage.status(each) for each in (*asked, later)] == [OPEN] * 4

    relay.stop()
    relay.settings["breaker_after"] = 100  # the operator has mended the prover
    relay.start()
    until("the later one", lambda: stage.status(later) == DELIVERED)
    line.recovery.append(time.monotonic() - relay.started_at)
    stage.anvil.pass_time(601)
    settle(stage, relay, line, [signed, later, *asked])
    assert line.outcome.expired == 3


def test_f18__no_money_then_some__pauses_and_goes_on(stage, make, record):
    line, anvil = record("F18 low funds"), stage.anvil
    relay = make().start()
    relay.wait_text("relaying")
    wealth = anvil.w3.eth.get_balance(RELAYER.address)
    anvil.rpc("anvil_setBalance", RELAYER.address, hex(10**13))
    request = stage.request()
    relay.wait_text("R-SUB-002")
    assert stage.status(request) == OPEN
    anvil.rpc("anvil_setBalance", RELAYER.address, hex(wealth))
    anvil.pass_time(RECHECK + 1)
    began = time.monotonic()
    settle(stage, relay, line, [request])
    line.recovery.append(time.monotonic() - began)


def test_f18__base_fee_over_the_ceiling__pauses_and_goes_on(stage, make, record):
    line, anvil = record("F18 fee spike"), stage.anvil
    relay = make(max_fee_gwei=50.0).start()
    relay.wait_text("relaying")
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(90 * 10**9))
    anvil.rpc("evm_mine")
    request = stage.request()
    relay.wait_text("R-SUB-003")
    assert stage.status(request) == OPEN
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    anvil.pass_time(RECHECK + 1)
    began = time.monotonic()
    settle(stage, relay, line, [request])
    line.recovery.append(time.monotonic() - began)


def test_f19__burst__all_are_delivered_the_earliest_deadline_first(stage, make, record):
    line, now = record("F19 burst"), stage.anvil.w3.eth.get_block("latest")["timestamp"]
    requests = [stage.request(deadline=now + 9_000 - 100 * number) for number in range(25)]
    relay = make().start()
    settle(stage, relay, line, requests)
    line.recovery.append(time.monotonic() - relay.started_at)
    delivered = [bytes(event["args"]["request_id"]) for event in stage.events("Delivered")]
    assert delivered == requests[::-1]


def test_f20__signer_down_and_back__signs_nothing_and_goes_on(stage, make, record):
    line = record("F20 signer down")
    with Web3Signer(bytes(RELAYER.key)) as signer:
        port = signer._port
        relay = make(remote_signer=signer.url, remote_address=RELAYER.address).start()
        first = stage.request(provisional=True)
        settle(stage, relay, line, [first], FINAL)
    second = stage.request(provisional=True)
    relay.wait_text("R-KEY-006")
    assert stage.status(second) == OPEN
    began = time.monotonic()
    with Web3Signer(bytes(RELAYER.key), port=port):
        settle(stage, relay, line, [first, second], FINAL)
        line.recovery.append(time.monotonic() - began)
        relay.kill()


@pytest.mark.parametrize("seed", seeds(1, 10))
def test_f21__told_to_stop_at_any_moment__ends_well_and_goes_on_later(stage, make, record, seed):
    line, chance, requests = record("F21 told to stop", seed), random.Random(seed), []
    relay = make(grace=2.0)
    for _ in range(3):
        requests.append(stage.request(provisional=True))
        relay.start()
        relay.wait_text("relaying")
        time.sleep(chance.uniform(0, 1.0))
        began = time.monotonic()
        assert relay.stop() == 0
        assert time.monotonic() - began < 60
    relay.start()
    settle(stage, relay, line, requests, FINAL)


# ------------------------------------------------------------------------------------------- secrets

SECRETS = ("canary-user", "canary-pass", "canary-path", "canary-query", "canary keystore password")


def leaks(texts):
    """Which secrets, in plain or in hex, are in which texts."""
    key = bytes(RELAYER.key).hex()
    wanted = [*SECRETS, key, key.upper(), *(secret.encode().hex() for secret in SECRETS)]
    return [(name, secret) for name, text in texts.items() for secret in wanted if secret in text]


def of_process(process):
    """What any user can see of a process, and what its owner can."""
    seen = {}
    for name in ("cmdline", "environ", "comm"):
        with contextlib.suppress(OSError):
            seen[f"{process.pid} {name}"] = Path(f"/proc/{process.pid}/{name}").read_text(errors="replace")
    return seen


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def test_f24__canaries__are_in_no_output_whatever_goes_wrong(stage, make, record, tmp_path):
    line, seed = record("F24 secrets", 7), 7
    keystore = tmp_path / "key.json"
    keystore.write_text(json.dumps(Account.encrypt(RELAYER.key, SECRETS[-1], kdf="pbkdf2", iterations=2)))
    password = tmp_path / "password"
    password.write_text(SECRETS[-1])
    password.chmod(0o600)
    with ChaosProxy(stage.anvil.port, seed, probability=0.05) as proxy:
        url = (
            proxy.url.replace("http://", "http://canary-user:canary-pass@") + "/canary-path?key=canary-query"
        )
        other = "http://canary-user:canary-pass@127.0.0.1:1/canary-path?key=canary-query"
        relay = make(rpc=f"{url},{other}", keystore=keystore, password_file=password, http="0")
        relay.start(debug=True)
        requests = [stage.request(provisional=True), stage.request(min_assurance=4)]
        relay.wait_text('"event": "page"')
        address = next(
            json.loads(each)["url"] for each in relay.text().splitlines() if '"event": "page"' in each
        )
        children = {}

        def done():
            for child in psutil.Process(relay.process.pid).children(recursive=True):
                children.update(of_process(child))
            return all(stage.status(each) == FINAL for each in requests)

        until("proven", done)
        pages = {each: fetch(address + each) for each in ("", "metrics", "readyz")}
        relay.send_signal(signal.SIGABRT)
        relay.process.join()
    line.outcome = observe(stage, requests)
    line.check()
    assert any("environ" in name for name in children)
    files = {
        str(path): path.read_bytes().decode("latin-1")
        for path in tmp_path.rglob("*")
        if path.is_file() and path not in (password, keystore)
    }
    cache = {
        str(path): path.read_bytes().decode("latin-1")
        for path in Path(os.environ["FORETELL_CACHE"]).rglob("*")
        if path.is_file() and path.stat().st_size < 1 << 20
    }
    assert "debug" in relay.text()
    assert leaks({**pages, **children, **files, **cache}) == []


def test_f24__wrong_password_and_unreachable_database__say_so_without_it(stage, make, tmp_path):
    keystore = tmp_path / "key.json"
    keystore.write_text(json.dumps(Account.encrypt(RELAYER.key, "another", kdf="pbkdf2", iterations=2)))
    relay = make(keystore=keystore, password=SECRETS[-1]).start(debug=True)
    assert relay.wait_end() == 1
    database = "postgresql://canary-user:canary-pass@127.0.0.1:1/canary-path"
    other = make("other", database=database).start(debug=True)
    assert other.wait_end() == 1

    assert "R-KEY-002" in relay.text()
    assert "R-JNL-007" in other.text()
    assert leaks({"relay": relay.text(), "other": other.text()}) == []
