"""The relayer as its own process against a real anvil, with the shipped model and real proofs."""

import json
import random
import signal
import sqlite3
import time

import psutil
import pytest
from eth_account import Account

from foretell_relayer.deploy import contract, transact
from foretell_relayer.prove import circuit
from tests.kit.anvil import (
    BOND,
    DEPLOYER,
    ETHER,
    FEE,
    LIAR,
    RELAYER,
    VALUE_AT_RISK,
    VOLATILITY,
    Anvil,
    Relay,
    relaying,
    set_stage,
    wait_for,
)
from tests.kit.proxy import Proxy

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.usefixtures("own_cache")]

OPEN, DELIVERED, DISPUTED, FINAL = range(1, 5)
SIGNED, PROVEN = 1, 4
ANSWER_FINAL, ANSWER_REVERSED = 3, 4
DISPUTE_BOND = ETHER // 2
NOT_THE_SIGNER, WRONG_PASSWORD, DEVELOPMENT_KEY = "R-KEY-003", "R-KEY-002", "R-KEY-005"


@pytest.fixture(scope="session")
def right(tmp_path_factory):
    """The model's output for the stage's input."""
    from foretell_relayer.models.store import CircuitCache, ModelStore

    store = ModelStore([VOLATILITY], CircuitCache(tmp_path_factory.getbasetemp() / "foretell-cache"))
    (folder,) = store
    wads = tuple(int(value * 10**6) * 10**12 for value in folder.samples()[0])
    return circuit.witness(store.circuit(folder.model_id).circuit, folder.manifest.quantise(wads))


def settle(stage, seconds=3601):
    """Let the challenge window pass."""
    stage.anvil.pass_time(seconds)


def test_relay__signature_asked__delivers_and_finalises_when_the_window_is_over(stage, tmp_path, right):
    with relaying(stage, tmp_path) as relay:
        request_id = stage.request()
        stage.wait_status(request_id, DELIVERED)
        settle(stage)
        record = stage.wait_status(request_id, FINAL)
        assert relay.stop() == 0

    assert (record["operator"], record["assurance"]) == (RELAYER.address, SIGNED)
    assert stage.answer(request_id)[0] == ANSWER_FINAL
    assert [event["args"]["outputs_q"] for event in stage.events("Delivered")] == [list(right)]
    assert stage.settlement.functions.credit_of(RELAYER.address).call() == FEE
    assert stage.operators.functions.operator_info(RELAYER.address).call()[2] == 0


def test_relay__proof_asked__delivers_and_proves_in_one_transaction(stage, tmp_path):
    before = stage.anvil.w3.eth.get_transaction_count(RELAYER.address)
    with relaying(stage, tmp_path):
        request_id = stage.request(min_assurance=PROVEN)
        record = stage.wait_status(request_id, FINAL)

    assert record["assurance"] == PROVEN
    assert stage.anvil.w3.eth.get_transaction_count(RELAYER.address) == before + 1


def test_relay__provisional__delivers_first_and_proves_then(stage, tmp_path):
    with relaying(stage, tmp_path) as relay:
        request_id = stage.request(provisional=True)
        record = stage.wait_status(request_id, FINAL)
        relay.wait_text('"action": "submit_proof"')

    assert record["assurance"] == PROVEN
    state, assurance, _, outputs = stage.answer(request_id)
    assert (state, assurance, len(outputs)) == (ANSWER_FINAL, PROVEN, 1)


def test_relay__bond_does_not_cover__proves_instead(stage, tmp_path):
    with relaying(stage, tmp_path):
        request_id = stage.request(value_at_risk=BOND)
        record = stage.wait_status(request_id, FINAL)

    assert record["assurance"] == PROVEN


def test_relay__lie_of_another_operator__is_challenged_and_the_proof_decides(stage, tmp_path, right):
    request_id = stage.request(provisional=True)
    stage.deliver(request_id, (right[0] + 100,), LIAR)
    with relaying(stage, tmp_path):
        record = stage.wait_status(request_id, FINAL)

    assert (record["operator"], record["assurance"]) == (RELAYER.address, PROVEN)
    assert record["compensation"] == VALUE_AT_RISK
    state, _, compensation, outputs = stage.answer(request_id)
    assert (state, compensation) == (ANSWER_REVERSED, VALUE_AT_RISK)
    assert outputs == [right[0] * 10**18 >> stage.folder.manifest.output_scale]
    _, bond, locked, *_ = stage.operators.functions.operator_info(LIAR.address).call()
    assert (bond, locked) == (BOND - VALUE_AT_RISK - DISPUTE_BOND, 0)
    assert stage.settlement.functions.credit_of(RELAYER.address).call() == FEE + DISPUTE_BOND


def test_relay__same_output_of_another_operator__is_left_alone(stage, tmp_path, right):
    request_id = stage.request(provisional=True)
    stage.deliver(request_id, right, LIAR)
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("another operator delivered the same output")

    assert stage.status(request_id) == DELIVERED


def killed_while_proving(stage, tmp_path):
    """A request that a relayer had delivered, and had not proven yet, when it was killed."""
    for _ in range(10):
        with relaying(stage, tmp_path) as relay:
            request_id = stage.request(provisional=True)
            wait_for("delivery", lambda asked=request_id: stage.status(asked) >= DELIVERED)
            relay.stop(signal.SIGKILL)
        if stage.status(request_id) == DELIVERED:
            return request_id
    pytest.fail("the proof was always faster")


def test_relay__killed_while_it_proves__goes_on_where_it_was(stage, tmp_path):
    request_id = killed_while_proving(stage, tmp_path)

    with relaying(stage, tmp_path):
        record = stage.wait_status(request_id, FINAL)

    assert record["assurance"] == PROVEN
    delivered = [event for event in stage.events("Delivered") if event["args"]["request_id"] == request_id]
    assert len(delivered) == 1


def test_relay__killed_with_a_transaction_on_its_way__does_not_send_another(stage, tmp_path):
    anvil = stage.anvil
    before = anvil.w3.eth.get_transaction_count(RELAYER.address)
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
        request_id = stage.request()
        anvil.rpc("evm_setAutomine", False)
        relay.wait_text('"event": "sent"')
        relay.stop(signal.SIGKILL)

    with relaying(stage, tmp_path) as relay:
        relay.wait_text("a signature is enough")
        anvil.rpc("evm_setAutomine", True)
        anvil.rpc("evm_mine")
        stage.wait_status(request_id, DELIVERED)
        relay.wait_text("the challenge window is open")
        assert relay.stop() == 0

    assert anvil.w3.eth.get_transaction_count(RELAYER.address) == before + 1
    assert len(stage.events("Delivered")) == 1


@pytest.mark.parametrize("seed", [1])
def test_relay__killed_again_and_again__settles_each_request_once(stage, tmp_path, seed):
    moments = random.Random(seed)
    stage.anvil.rpc("evm_setIntervalMining", 1)
    before = stage.anvil.w3.eth.get_transaction_count(RELAYER.address)
    requests = [stage.request(provisional=True) for _ in range(3)]
    for number in range(4):
        with relaying(stage, tmp_path) as relay:
            relay.wait_text("Relaying", times=number + 1)
            time.sleep(moments.uniform(0, 2.5))
            relay.stop(signal.SIGKILL)
    with relaying(stage, tmp_path):
        records = [stage.wait_status(request_id, FINAL) for request_id in requests]

    assert {record["assurance"] for record in records} == {PROVEN}
    assert len(stage.events("Delivered")) == len(stage.events("Finalised")) == len(requests)
    # One delivery and one proof each: nothing was sent twice, and no nonce was left out.
    assert stage.anvil.w3.eth.get_transaction_count(RELAYER.address) == before + 2 * len(requests)


def test_relay__transaction_lost_by_the_node__is_sent_again(stage, tmp_path):
    anvil = stage.anvil
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
        request_id = stage.request()
        anvil.rpc("evm_setAutomine", False)
        relay.wait_text('"event": "sent"')
        assert anvil.rpc("anvil_dropAllTransactions") is None
        relay.wait_text('"event": "sent"', times=2)
        anvil.rpc("evm_setAutomine", True)
        anvil.rpc("evm_mine")
        stage.wait_status(request_id, DELIVERED)


def test_relay__delivery_undone_by_a_reorganisation__delivers_again(stage, tmp_path):
    anvil = stage.anvil
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
        before = anvil.w3.eth.get_transaction_count(RELAYER.address)
        request_id = stage.request()
        snapshot = anvil.rpc("evm_snapshot")
        stage.wait_status(request_id, DELIVERED)
        relay.wait_text("the challenge window is open")
        assert anvil.rpc("evm_revert", snapshot)
        stage.wait_status(request_id, DELIVERED)
        settle(stage)
        stage.wait_status(request_id, FINAL)

    assert len(stage.events("Delivered")) == 1
    assert anvil.w3.eth.get_transaction_count(RELAYER.address) == before + 2


def test_relay__node_down_for_a_while__loses_nothing(stage, tmp_path):
    with Proxy(stage.anvil.port) as proxy:
        relay = Relay(
            "--rpc", f"http://user:canary-password@127.0.0.1:{proxy.port}/?key=canary-key", "--dev-key",
            "--settlement", stage.book.settlement, "--model", str(VOLATILITY), "--poll", "0.1",
            "--journal", str(tmp_path / "relay.sqlite3"), log=tmp_path / "relay.log",
        )  # fmt: skip
        try:
            relay.wait_text("Relaying")
            proxy.go_down()
            relay.wait_text("R-RPC-001")
            request_id = stage.request(provisional=True)
            proxy.come_up()
            record = stage.wait_status(request_id, FINAL)
            assert relay.stop() == 0
        finally:
            relay.process.kill()

    assert record["assurance"] == PROVEN
    assert "canary" not in relay.text()
    assert b"canary" not in (tmp_path / "relay.sqlite3").read_bytes()


def test_relay__node_down_at_the_start__waits_and_stops_when_told(stage, tmp_path):
    stage.anvil.stop()
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("waiting_for_node")
        assert relay.stop() == 0

    assert "Check the node and --rpc" in relay.text()


def test_relay__second_one_on_the_journal__is_refused(stage, tmp_path):
    with relaying(stage, tmp_path) as first:
        first.wait_text("Relaying")
        with relaying(stage, tmp_path) as second:
            assert second.wait_end() == 1
        assert f"another relayer (process {first.process.pid}" in first.text()
        assert "R-JNL-001" in first.text()
        request_id = stage.request()
        stage.wait_status(request_id, DELIVERED)


def test_relay__interrupted_while_it_proves__ends_with_one_line_and_goes_on_later(stage, tmp_path):
    with relaying(stage, tmp_path) as relay:
        request_id = stage.request(min_assurance=PROVEN)
        relay.wait_text('"event": "proving"')
        assert relay.stop(signal.SIGINT) == 130
    last = relay.text().splitlines()[-1]
    assert last == "Relayer stopped; its journal is complete."
    assert "Traceback" not in relay.text()

    with relaying(stage, tmp_path):
        stage.wait_status(request_id, FINAL)


def test_relay__no_time_to_finish_a_proof__ends_at_once_and_leaves_no_process(stage, tmp_path):
    with relaying(stage, tmp_path, "--grace", "0") as relay:
        request_id = stage.request(min_assurance=PROVEN)
        relay.wait_text('"event": "proving"')
        children = psutil.Process(relay.process.pid).children(recursive=True)
        assert relay.stop(signal.SIGINT) == 130
    assert children
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []

    with relaying(stage, tmp_path):
        stage.wait_status(request_id, FINAL)


def test_relay__chain_replaced_while_it_works__stops(stage, tmp_path):
    port = stage.anvil.port
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
        stage.anvil.stop()
        other = Anvil("--timestamp", "1700000000", port=port)
        other.start()
        try:
            assert relay.wait_end() == 1
        finally:
            other.stop()

    assert "R-RPC-003" in relay.text()


def test_relay__journal_of_another_chain__is_refused(stage, tmp_path):
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
    other = Anvil("--chain-id", "1337")
    other.start()
    try:
        stage.anvil, first = other, stage.anvil
        with relaying(stage, tmp_path) as relay:
            assert relay.wait_end() == 1
    finally:
        stage.anvil = first
        other.stop()

    assert "this journal belongs to chain id 31337, not to 1337" in relay.text()


def keystore(folder, key, password):
    """A keystore that opens quickly."""
    (folder / "key.json").write_text(json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2)))
    (folder / "password").write_text("the right password\n")
    (folder / "password").chmod(0o600)
    return ("--keystore", str(folder / "key.json"), "--password-file", str(folder / "password"))


def test_relay__keystore__signs_for_its_operator(stage, tmp_path):
    key = keystore(tmp_path, RELAYER.key, "the right password")
    with relaying(stage, tmp_path, key=key):
        stage.wait_status(stage.request(), DELIVERED)


@pytest.mark.parametrize(
    ("key", "password", "code"),
    [
        (DEPLOYER.key, "the right password", NOT_THE_SIGNER),
        (RELAYER.key, "another password", WRONG_PASSWORD),
    ],
)
def test_relay__wrong_key__says_so_and_not_which(stage, tmp_path, key, password, code):
    arguments = keystore(tmp_path, key, password)
    with relaying(stage, tmp_path, "--operator", RELAYER.address, key=arguments) as relay:
        assert relay.wait_end() == 1

    assert f"Error {code}" in relay.text()
    assert "Hint:" in relay.text()
    assert bytes(key).hex() not in relay.text()
    assert "password\n" not in relay.text().replace("the password", "")


def test_relay__chain_that_is_worth_something__takes_no_development_key_and_no_insecure_model(tmp_path):
    anvil = Anvil("--chain-id", "5555")
    anvil.start()
    try:
        stage = set_stage(anvil)
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with relaying(stage, tmp_path / "a") as relay:
            assert relay.wait_end() == 1
        assert "volatility: the SRS is of no known ceremony" in relay.text()
        with relaying(stage, tmp_path / "b", "--accept-insecure-srs") as relay:
            assert relay.wait_end() == 1
        assert DEVELOPMENT_KEY in relay.text()
    finally:
        anvil.stop()


def test_relay__no_settlement_at_the_address__says_so(stage, tmp_path):
    with relaying(stage, tmp_path, "--settlement", DEPLOYER.address) as relay:
        assert relay.wait_end() == 1

    assert f"{DEPLOYER.address} has no code on this chain" in relay.text()


def test_relay__nonce_used_by_somebody_else_with_its_key__finds_the_next(stage, tmp_path):
    anvil = stage.anvil
    with relaying(stage, tmp_path) as relay:
        relay.wait_text("Relaying")
        registry = contract(anvil.w3, "OperatorRegistry", stage.book.operator_registry)
        for _ in range(3):
            transact(anvil.w3, RELAYER, registry.functions.add_bond(), value=1)
        stage.wait_status(stage.request(), DELIVERED)


def test_relay__story__is_in_the_journal(stage, tmp_path):
    with relaying(stage, tmp_path) as relay:
        request_id = stage.request(min_assurance=PROVEN)
        stage.wait_status(request_id, FINAL)
        relay.wait_text('"step": "done"')

    with sqlite3.connect(tmp_path / "relay.sqlite3") as journal:
        told = [what for (what,) in journal.execute("select what from history order by id")]
    assert told[0] == "seen"
    milestones = [what for what in told if what in {"answered", "proven", "signed", "sent", "done"}]
    assert milestones == ["answered", "proven", "signed", "sent", "done"]
