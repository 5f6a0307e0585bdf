"""An operator's day: a relayer on a real anvil, its page in a real browser, and orders while it runs."""

import json
import signal
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from foretell_cli import main
from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit import chromium
from tests.kit.anvil import (
    FEE,
    LIAR,
    RELAYER,
    VOLATILITY,
    free_port,
    relaying,
    wait_for,
)

pytestmark = [pytest.mark.anvil, pytest.mark.slow, pytest.mark.usefixtures("own_cache")]

OPEN, DELIVERED, DISPUTED, FINAL = range(1, 5)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def url(port):
    return f"http://127.0.0.1:{port}"


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return None, ""


def order(folder, *arguments):
    return CliRunner().invoke(main, [*arguments, "--journal", str(folder / "relay.sqlite3")])


def credit(stage):
    return stage.settlement.functions.credit_of(RELAYER.address).call()


def test_orders__of_a_day__are_obeyed_and_survive_a_restart(stage, tmp_path, port, url):
    with relaying(stage, tmp_path, "--http", str(port)) as relay:
        wait_for("ready", lambda: fetch(f"{url}/readyz")[0] == 200)
        first = stage.request(provisional=True)
        stage.wait_status(first, FINAL)
        wait_for("credit", lambda: credit(stage) == FEE)

        assert order(tmp_path, "pause").exit_code == 0
        second = stage.request()
        relay.wait_text('"why": "the operator paused the relayer"')
        status, text = fetch(f"{url}/readyz")
        assert (status, json.loads(text)["reasons"][0]["name"]) == (503, "paused")
        told = order(tmp_path, "why", "0x" + second.hex())
        assert "Q-OPR-001" in told.output

        # Killed and started again, it is paused still.
        relay.process.send_signal(signal.SIGKILL)
        relay.process.wait()

    with relaying(stage, tmp_path, "--http", str(port)) as relay:
        relay.wait_text('"event": "relaying"')
        assert "paused" in order(tmp_path, "status").output
        assert stage.status(second) == OPEN
        assert order(tmp_path, "resume").exit_code == 0
        stage.wait_status(second, DELIVERED)

        withdrawn = order(tmp_path, "withdraw")
        assert withdrawn.exit_code == 0, withdrawn.output
        wait_for("withdrawal", lambda: credit(stage) == 0)

        # The delivery's bond is at stake until its window is over: drained, the relayer waits for that.
        drained = order(tmp_path, "drain")
        assert "1 requests that our bond stands behind" in drained.output
        third = stage.request()
        stage.anvil.pass_time(3601)
        stage.wait_status(second, FINAL)
        assert relay.wait_end() == 0

    assert stage.view(third)["operator"] == ZERO_ADDRESS
    status = order(tmp_path, "status").output
    assert "not running, intake draining" in status
    assert "0.020000 ether of fees in 2 requests" in status


@pytest.mark.skipif(chromium.binary() is None, reason=chromium.MISSING)
def test_page__in_a_browser__shows_the_day_and_breaks_no_policy(stage, tmp_path, port, url):
    lied = stage.request(provisional=True)
    stage.deliver(lied, (123,), LIAR)
    with relaying(stage, tmp_path, "--http", str(port)):
        stage.wait_status(lied, FINAL)
        waiting = stage.request()
        stage.wait_status(waiting, DELIVERED)
        wait_for("costs", lambda: "spent_gas 0.0" not in fetch(f"{url}/metrics")[1])
        home = wait_for("page", lambda: seen_with(url, lied))
        told = chromium.look(f"{url}/requests/0x{lied.hex()}")

    assert home.console == []
    assert told.console == []
    assert f"/requests/0x{waiting.hex()}" in home.dom
    assert LIAR.address in home.dom
    for part in ('id="queue"', 'id="gaps"', 'id="ended"', 'id="divergences"', 'id="costs"'):
        assert part in home.dom
    assert "Q-END-001" in told.dom
    assert "challenge" in told.dom
    assert 'id="transactions"' in told.dom


def seen_with(url, request_id):
    """The page, once the books hold that request's transactions."""
    seen = chromium.look(url)
    return seen if f"/requests/0x{request_id.hex()}" in seen.dom.partition('id="costs"')[2] else None


def test_page__script_of_a_stranger__is_not_run_by_a_browser(tmp_path):
    if chromium.binary() is None:
        pytest.skip(chromium.MISSING)
    page = tmp_path / "page.html"
    page.write_text("<p id=a>before</p><script>document.getElementById('a').textContent='after'</script>")

    # The browser that the other test asks does run scripts where nothing forbids it.
    assert "after" in chromium.look(f"file://{page}").dom


def test_doctor__well_and_unwell__says_what_to_mend(stage, tmp_path):
    config = tmp_path / "relay.toml"
    told = CliRunner().invoke(
        main,
        [
            "init", "--out", str(config), "--rpc", stage.anvil.url, "--settlement", stage.book.settlement,
            "--dev-key", "--model", str(VOLATILITY), "--journal", str(tmp_path / "relay.sqlite3"),
        ],
    )  # fmt: skip
    assert told.exit_code == 0, told.output

    well = CliRunner().invoke(main, ["doctor", "--config", str(config)])
    assert well.exit_code == 0, well.output
    for subject in (
        "chain",
        "settlement",
        "clock",
        "disk",
        "sandbox",
        "key",
        "bond",
        "gas",
        "model",
        "SRS",
        "proving",
    ):
        assert f" {subject} " in well.output
    assert "INSECURE" in well.output
    assert "models see no other file, and no network" in well.output
    assert "a proof takes" in well.output

    stage.anvil.rpc("anvil_setBalance", RELAYER.address, "0x1")
    poor = CliRunner().invoke(main, ["doctor", "--config", str(config), "--no-prove"])
    assert poor.exit_code == 1
    assert f"Send ether to {RELAYER.address}" in poor.output
    assert "R-OPR-005" in poor.output

    stage.anvil.stop()
    alone = CliRunner().invoke(main, ["doctor", "--config", str(config), "--no-prove"])
    assert alone.exit_code == 1
    assert "FAIL  chain" in alone.output
    assert "R-RPC-001" in alone.output
