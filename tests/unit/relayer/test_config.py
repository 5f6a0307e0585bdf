from pathlib import Path

import pytest

from foretell_relayer.config import load_settings
from foretell_relayer.errors import BadSetting
from foretell_spec.addresses import SETTLEMENT
from tests.kit.relay import OPERATOR


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("RPC", "PASSWORD", "POLL"):
        monkeypatch.delenv(f"FORETELL_RELAY_{name}", raising=False)


def test_load_settings__least__has_the_forks_defaults():
    settings = load_settings(dev_key=True)

    assert settings.rpc.get_secret_value() == "http://127.0.0.1:8545"
    assert (settings.settlement, settings.confirmations, settings.models) == (SETTLEMENT, 1, ())
    assert settings.rules.prove_all is False


def test_load_settings__environment__fills_what_was_not_given(monkeypatch):
    monkeypatch.setenv("FORETELL_RELAY_RPC", "https://node.example/v3/0123456789")
    monkeypatch.setenv("FORETELL_RELAY_POLL", "5")

    settings = load_settings(dev_key=True, poll=2.0, operator=None)
    assert settings.poll == 2.0
    assert settings.rpc.get_secret_value() == "https://node.example/v3/0123456789"
    assert settings.public_rpc == "https://node.example"


def test_load_settings__several_nodes__are_told_apart_and_shown_without_their_keys():
    rpc = "https://user:canary@one.example/canary?a=1,2, http://two.example:8545"
    settings = load_settings(dev_key=True, rpc=rpc)

    assert settings.rpc_urls == (
        "https://user:canary@one.example/canary?a=1,2",
        "http://two.example:8545",
    )
    assert settings.public_rpc == "https://one.example, http://two.example:8545"


def test_load_settings__database__takes_the_journal_s_place(tmp_path):
    assert load_settings(dev_key=True, journal=tmp_path).where == tmp_path
    url = "postgresql://user:canary@db.example/foretell"
    settings = load_settings(dev_key=True, database=url)
    assert settings.where == url
    assert "canary" not in repr(settings)


def test_load_settings__lower_case_address__is_checksummed():
    assert load_settings(dev_key=True, operator=OPERATOR.lower()).operator == OPERATOR


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rpc": "ws://localhost"}, "--rpc: an http:// or https:// URL"),
        ({"rpc": "http://"}, "--rpc: an http:// or https:// URL"),
        ({"rpc": "http://a,ftp://b"}, "--rpc: an http:// or https:// URL"),
        ({"database": "mysql://localhost/x"}, "--database: a postgresql:// URL"),
        (
            {"dev_key": False, "remote_signer": "localhost:9000"},
            "--remote-signer: an http:// or https:// URL",
        ),
        ({"remote_address": "0x12"}, "--remote-address: not an address"),
        ({"remote_signer": "http://localhost:9000"}, "give either --keystore"),
        ({"breaker_after": 0}, "--breaker-after: "),
        ({"bond_rate": -1.0}, "--bond-rate: "),
        ({"keep_days": 0.0}, "--keep-days: "),
        ({"settlement": "0x12"}, "--settlement: not an address"),
        ({"operator": "me"}, "--operator: not an address"),
        ({"confirmations": 0}, "--confirmations: "),
        ({"poll": 0.0}, "--poll: "),
        ({"max_fee_gwei": 0.0}, "--max-fee-gwei: "),
        ({"http": "70000"}, "--http: "),
        ({"keystore": Path("key.json")}, "give either --keystore"),
        ({"dev_key": False}, "give either --keystore"),
    ],
)
def test_load_settings__wrong_value__is_named(given, said):
    with pytest.raises(BadSetting, match=said):
        load_settings(**{"dev_key": True, **given})


def test_load_settings__wrong_value__is_not_repeated():
    with pytest.raises(BadSetting) as caught:
        load_settings(dev_key=True, rpc="ftp://user:canary@node")

    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_settings__secrets__do_not_show():
    settings = load_settings(dev_key=True, rpc="https://canary@node.example/canary", password="canary")

    assert "canary" not in repr(settings) + str(settings) + settings.model_dump_json()
