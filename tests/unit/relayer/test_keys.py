import asyncio
import json
import pickle
import subprocess
import sys

import pytest
import structlog
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
from foretell_relayer.keys import load_signer, require_signer, warn_of_hot_bond
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
    path.chmod(0o600)
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


@pytest.mark.parametrize(
    ("operator", "chain_id", "warned"), [("signer", 1, True), ("signer", 31337, False), (OPERATOR, 1, False)]
)
def test_warn_of_hot_bond__one_key_for_both__is_said_where_it_matters(operator, chain_id, warned):
    signer = LocalSigner(KEY)
    with structlog.testing.capture_logs() as logs:
        warn_of_hot_bond(signer.address if operator == "signer" else operator, signer, chain_id)

    assert [entry["event"] for entry in logs] == ["bond_key_is_hot"] * warned


def test_forbid_core_files__this_process_and_its_children__write_none():
    script = (
        "import subprocess; from foretell_relayer.keys import forbid_core_files; forbid_core_files();"
        "subprocess.run(['sh', '-c', 'ulimit -c'])"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert told.stdout.strip() == "0"


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


# ---------------------------------------------------------------------------------- formats of keystores


def test_load_signer__keystore_that_ape_wrote__opens(tmp_path):
    from ape_accounts.accounts import KeyfileAccount

    path = tmp_path / "alice.json"
    path.write_text(
        json.dumps({"address": Account.from_key(KEY).address[2:].lower()} | Account.encrypt(KEY, PASSWORD))
    )
    alice = KeyfileAccount(keyfile_path=path)
    assert alice.address == Account.from_key(KEY).address

    assert load_signer(load_settings(keystore=path, password=PASSWORD), 1).address == alice.address


GETH = {
    # The scrypt vector of Ethereum's Web3 Secret Storage Definition; old versions of geth wrote "Crypto".
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
GETH_KEY = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


@pytest.mark.parametrize("name", ["crypto", "Crypto"])
def test_load_signer__keystore_of_the_definition_as_geth_writes_it__opens(tmp_path, name):
    path = tmp_path / "UTC--2026-11-24T00-00-00.000000000Z--008aeeda4d805471df9b2a5b0f38a0c3bcba786b"
    path.write_text(json.dumps({name if key == "crypto" else key: value for key, value in GETH.items()}))

    signer = load_signer(load_settings(keystore=path, password="testpassword"), 1)
    assert signer.address == Account.from_key(bytes.fromhex(GETH_KEY)).address


def test_load_signer__address_in_the_file_is_another__is_refused(tmp_path):
    path = tmp_path / "key.json"
    keystore = Account.encrypt(KEY, PASSWORD, kdf="pbkdf2", iterations=2) | {"address": OTHER[2:].lower()}
    path.write_text(json.dumps(keystore))

    with pytest.raises(BadKeystore, match="another address"):
        load_signer(load_settings(keystore=path, password=PASSWORD), 1)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o604])
def test_load_signer__password_that_others_may_read__is_refused(keystore, password_file, mode):
    password_file.chmod(mode)

    with pytest.raises(BadKeystore, match="chmod 600"):
        load_signer(load_settings(keystore=keystore, password_file=password_file), 1)
