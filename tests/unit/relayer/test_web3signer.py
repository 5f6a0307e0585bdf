"""The remote signer, against a real HTTP server with web3signer's published routes."""

import asyncio

import pytest
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

from foretell_relayer.config import load_settings
from foretell_relayer.errors import BadSetting, SignerUnreachable, SignerWrong
from foretell_relayer.keys import open_signer
from foretell_relayer.signers import LocalSigner
from foretell_relayer.web3signer import LONGEST_ANSWER, RemoteSigner
from foretell_spec.bundle import Bundle
from tests.kit.relay import CHAIN_ID, MODEL_ID, OPERATOR, OTHER, SETTLEMENT, request_id
from tests.kit.web3signer import Web3Signer

KEY, OTHER_KEY = keccak(text="hot key"), keccak(text="another key")
ADDRESS = Account.from_key(KEY).address
BUNDLE = Bundle(request_id(0), MODEL_ID, (3, -4), (-1,), OPERATOR)


def transaction(**overrides):
    fields = {
        "type": 2, "chainId": CHAIN_ID, "nonce": 7, "to": SETTLEMENT, "value": 0, "data": b"\x12\x34",
        "gas": 21_000, "maxFeePerGas": 30, "maxPriorityFeePerGas": 2,
    }  # fmt: skip
    return {**fields, **overrides}


@pytest.fixture
def server():
    with Web3Signer(OTHER_KEY, KEY) as started:
        yield started


@pytest.fixture
def signer(server):
    return RemoteSigner(server.url, ADDRESS)


def run(awaitable):
    return asyncio.run(awaitable)


@pytest.mark.parametrize(
    "overrides", [{}, {"nonce": 0, "data": b"", "maxPriorityFeePerGas": 0}, {"to": OTHER}]
)
def test_sign_transaction__as_the_same_key_would_here(signer, overrides):
    # An ECDSA nonce of RFC 6979 gives the same signature everywhere.
    assert run(signer.sign_transaction(transaction(**overrides))) == run(
        LocalSigner(KEY).sign_transaction(transaction(**overrides))
    )


def test_sign_bundle__is_of_the_key_on_this_chain_for_this_contract(signer):
    signature = run(signer.sign_bundle(BUNDLE, CHAIN_ID, SETTLEMENT))

    assert signature == run(LocalSigner(KEY).sign_bundle(BUNDLE, CHAIN_ID, SETTLEMENT))


def test_open_signer__settings__find_the_key(server):
    settings = load_settings(remote_signer=server.url, remote_address=ADDRESS.lower())

    assert run(open_signer(settings, 1)).address == ADDRESS
    assert server.asked == ["/api/v1/eth1/publicKeys"]


def test_settings__no_address__is_refused():
    with pytest.raises(BadSetting, match="--remote-address"):
        load_settings(remote_signer="http://127.0.0.1:9000")


def test_find_key__not_loaded__says_which_one_is_missing(server):
    with pytest.raises(SignerWrong, match=f"2 keys, and none of them is {OTHER}"):
        run(RemoteSigner(server.url, OTHER).find_key())


def test_sign__with_another_key__is_not_believed(server, signer):
    server.signs_with = PrivateKey(OTHER_KEY)

    with pytest.raises(SignerWrong, match=f"not of {ADDRESS}"):
        run(signer.sign_transaction(transaction()))


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"0x12", b"0x" + b"00" * 65, b"0x" + b"ff" * 65, b"\xff" * 10, b"0x" + b"11" * 66]
)
def test_sign__answer_is_no_signature__is_not_believed(server, signer, body):
    run(signer.find_key())
    server.answer = 200, body

    with pytest.raises(SignerWrong, match="no signature"):
        run(signer.sign_transaction(transaction()))


def test_sign__malleable_signature__is_not_believed(server, signer):
    from eth_keys.constants import SECPK1_N

    raw = run(signer.sign_bundle(BUNDLE, CHAIN_ID, SETTLEMENT))
    high = (SECPK1_N - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big")
    server.answer = 200, b"0x" + (raw[:32] + high + bytes([55 - raw[64]])).hex().encode()

    with pytest.raises(SignerWrong, match="malleable"):
        run(signer.sign_bundle(BUNDLE, CHAIN_ID, SETTLEMENT))


def test_sign__endless_answer__is_cut_off(server, signer):
    run(signer.find_key())
    server.answer = 200, b"0" * (LONGEST_ANSWER + 1)

    with pytest.raises(SignerWrong, match="too long"):
        run(signer.sign_transaction(transaction()))


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_sign__server_in_trouble__may_work_later(server, signer, status):
    run(signer.find_key())
    server.answer = status, b""

    with pytest.raises(SignerUnreachable, match=str(status)) as caught:
        run(signer.sign_transaction(transaction()))
    assert caught.value.retry


def test_sign__key_unloaded_and_loaded_again__finds_it(server, signer):
    run(signer.find_key())
    keys, server.keys = server.keys, {}
    with pytest.raises(SignerUnreachable, match="does not know the key"):
        run(signer.sign_transaction(transaction()))
    server.keys = keys

    assert Account.recover_transaction(run(signer.sign_transaction(transaction())).raw) == ADDRESS


def test_sign__down__says_so_without_the_url_s_secrets():
    signer = RemoteSigner("http://canary-user:canary-password@127.0.0.1:1/canary-path", ADDRESS)

    with pytest.raises(SignerUnreachable) as caught:
        run(signer.find_key())
    assert "canary" not in str(caught.value) + repr(signer)
    assert caught.value.__cause__ is None
