import asyncio
import json
import pickle

import pytest
from eth_account import Account
from eth_utils import keccak

from foretell_relayer.config import DEVELOPMENT_KEY, load_settings
from foretell_relayer.errors import (
    BadKeystore,
    BadSetting,
    DevelopmentKey,
    NotAnOperator,
    NotTheSigner,
    WrongPassword,
)
from foretell_relayer.keys import load_signer, require_signer
from foretell_relayer.signers import LocalSigner
from foretell_spec.addresses import ZERO_ADDRESS
from tests.kit.relay import OPERATOR, OTHER

KEY = keccak(text="a key")
PASSWORD = "the right password"


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=2)))
    return path


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


def test_load_signer__password_file__opens(keystore, password_file):
    settings = load_settings(keystore=keystore, password_file=password_file)

    assert load_signer(settings, 1).address == Account.from_key(KEY).address


def test_load_signer__environment__opens(keystore, monkeypatch):
    monkeypatch.setenv("FORETELL_RELAY_PASSWORD", PASSWORD)

    assert load_signer(load_settings(keystore=keystore), 1).address == Account.from_key(KEY).address


def test_load_signer__nothing_given__asks_a_person(keystore):
    asked = []

    def prompt(question):
        asked.append(question)
        return PASSWORD

    load_signer(load_settings(keystore=keystore), 1, prompt)
    assert asked == [f"Password of {keystore}"]


def test_load_signer__nobody_to_ask__says_what_is_missing(keystore):
    with pytest.raises(BadSetting, match="--password-file"):
        load_signer(load_settings(keystore=keystore), 1)


def test_load_signer__wrong_password__is_said_without_repeating_it(keystore):
    settings = load_settings(keystore=keystore, password="canary")

    with pytest.raises(WrongPassword) as caught:
        load_signer(settings, 1)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        '{"version": 4}',
        '{"version": 3}',
        '{"version": 3, "crypto": null}',
        '{"version": 3, "crypto": {"kdf": "rot13", "kdfparams": {}, "cipher": "aes-128-ctr"}}',
        '{"version": 3, "pad": "' + "x" * 100_000 + '"}',
    ],
)
def test_load_signer__no_keystore__is_refused(tmp_path, content):
    path = tmp_path / "key.json"
    path.write_text(content)

    with pytest.raises(BadKeystore, match=r"key\.json"):
        load_signer(load_settings(keystore=path, password="x"), 1)


def test_load_signer__missing_files__are_named(tmp_path, keystore):
    with pytest.raises(BadKeystore, match="nowhere"):
        load_signer(load_settings(keystore=tmp_path / "nowhere", password="x"), 1)
    with pytest.raises(BadKeystore, match="nowhere"):
        load_signer(load_settings(keystore=keystore, password_file=tmp_path / "nowhere"), 1)


@pytest.mark.parametrize("chain_id", [31337, 1337])
def test_load_signer__development_chain__takes_the_development_key(chain_id):
    signer = load_signer(load_settings(dev_key=True), chain_id)

    assert signer.address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_load_signer__other_chain__refuses_the_development_key():
    with pytest.raises(DevelopmentKey, match="chain 1 "):
        load_signer(load_settings(dev_key=True), 1)


def test_require_signer__registered__passes():
    signer = LocalSigner(KEY)
    require_signer(OPERATOR, signer.address, signer)


def test_require_signer__nobody__says_that_the_operator_is_not_registered():
    with pytest.raises(NotAnOperator, match=OPERATOR):
        require_signer(OPERATOR, ZERO_ADDRESS, LocalSigner(KEY))


def test_require_signer__somebody_else__names_both():
    signer = LocalSigner(KEY)
    with pytest.raises(NotTheSigner, match=f"{OTHER}; this key is {signer.address}"):
        require_signer(OPERATOR, OTHER, signer)


def test_signer__any_text__hides_the_key():
    signer = LocalSigner(bytes.fromhex(DEVELOPMENT_KEY[2:]))

    assert DEVELOPMENT_KEY[2:] not in repr(signer) + str(signer) + f"{signer}"
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_sign__transaction__is_of_the_signer():
    signer = LocalSigner(KEY)
    transaction = {
        "type": 2, "chainId": 1, "nonce": 0, "to": OPERATOR, "value": 0, "data": b"", "gas": 21_000,
        "maxFeePerGas": 1, "maxPriorityFeePerGas": 1,
    }  # fmt: skip
    signed = asyncio.run(signer.sign_transaction(transaction))

    assert Account.recover_transaction(signed.raw) == signer.address
    assert signed.hash == keccak(signed.raw)
