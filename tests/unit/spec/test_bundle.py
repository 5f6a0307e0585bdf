from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from foretell_spec.addresses import PRECOMPILE, SETTLEMENT
from foretell_spec.bundle import Bundle
from foretell_spec.errors import SignatureError, SpecError
from foretell_spec.reasons import EXPLANATIONS, Reason, reason_of, revert_data

KEY = PrivateKey(b"\x07" * 32)
OPERATOR = KEY.public_key.to_checksum_address()


@pytest.fixture
def bundle() -> Bundle:
    return Bundle(b"\1" * 32, b"\2" * 32, (1, -2), (3,), OPERATOR).signed(KEY, 31337, PRECOMPILE)


def test_signer__recovers_the_key(bundle):
    assert bundle.signer(31337, PRECOMPILE) == OPERATOR


@pytest.mark.parametrize(
    "change",
    [
        {"request_id": b"\x09" * 32},
        {"model_id": b"\x09" * 32},
        {"inputs": (1, -3)},
        {"outputs": (4,)},
        {"seed": b"\x09" * 32},
        {"operator": PRECOMPILE},
    ],
)
def test_signer__any_signed_field_changed__is_somebody_else(bundle, change):
    assert replace(bundle, **change).signer(31337, PRECOMPILE) != OPERATOR


def test_signer__other_chain_or_contract__is_somebody_else(bundle):
    assert bundle.signer(1, PRECOMPILE) != OPERATOR
    assert bundle.signer(31337, SETTLEMENT) != OPERATOR


def test_signer__unsigned__raises(bundle):
    with pytest.raises(SignatureError, match="65 bytes"):
        replace(bundle, signature=b"").signer(31337, PRECOMPILE)


@pytest.mark.parametrize(
    "change", [{"signature": b"\x01" * 65}, {"proof": b"x"}, {"inputs": (1,)}, {"outputs": ()}]
)
def test_hash__covers_the_evidence(bundle, change):
    assert replace(bundle, **change).hash != bundle.hash


def test_json__round_trip(bundle):
    assert Bundle.from_json(bundle.to_json()) == bundle


@pytest.mark.parametrize(
    "change",
    [
        {"request_id": "0x01"},
        {"request_id": 5},
        {"model_id": None},
        {"inputs": "12"},
        {"inputs": ["x"]},
        {"inputs": ["0"] * 257},
        {"outputs": ["0"] * 65},
        {"outputs": [str(2**127)]},
        {"operator": "0x00"},
        {"signature": "0x"},
        {"proof": "0x" + "00" * 16385},
        {"proof": "zz"},
    ],
)
def test_from_json__hostile__raises(bundle, change):
    with pytest.raises(SpecError):
        Bundle.from_json({**bundle.to_json(), **change})


def test_from_json__field_missing__raises(bundle):
    form = bundle.to_json()
    del form["seed"]
    with pytest.raises(SpecError, match="seed"):
        Bundle.from_json(form)


def test_reasons__each_explained_and_readable_from_revert_data():
    assert set(EXPLANATIONS) == set(Reason)
    assert all(reason_of(revert_data(reason)) is reason for reason in Reason)


@pytest.mark.parametrize("data", [b"", b"\x08\xc3\x79\xa0" + b"\0" * 32, revert_data(Reason.TIMEOUT) + b"\0"])
def test_reason_of__somebody_elses_data__is_none(data):
    assert reason_of(data) is None


def test_reason_of__unknown_code__is_none():
    assert reason_of(revert_data(Reason.TIMEOUT)[:-1] + b"\xff") is None
