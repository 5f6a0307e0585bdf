"""What enclaves sign."""

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from foretell_spec.addresses import PRECOMPILE, SETTLEMENT
from foretell_spec.attestation import Statement
from foretell_spec.errors import SignatureError
from tests.kit.vectors import vectors

KEY = PrivateKey(b"\5" * 32)
STATEMENT = Statement(*(bytes([number]) * 32 for number in range(5)), signed_at=1)


def test_signer__own_signature__is_the_key():
    signature = STATEMENT.sign(KEY, 1, SETTLEMENT)
    assert STATEMENT.signer(signature, 1, SETTLEMENT) == KEY.public_key.to_checksum_address()


@pytest.mark.parametrize(("chain_id", "contract"), [(2, SETTLEMENT), (1, PRECOMPILE)])
def test_signer__for_another_place__is_somebody_else(chain_id, contract):
    signature = STATEMENT.sign(KEY, 1, SETTLEMENT)
    assert STATEMENT.signer(signature, chain_id, contract) != KEY.public_key.to_checksum_address()


def test_signer__no_signature__says_so():
    with pytest.raises(SignatureError):
        STATEMENT.signer(b"", 1, SETTLEMENT)


def test_digest__each_field__is_bound():
    digests = {case["digest"] for case in vectors("attestation", "statement")}
    assert len(digests) == len(vectors("attestation", "statement"))
    assert replace(STATEMENT, signed_at=2).digest(1, SETTLEMENT) != STATEMENT.digest(1, SETTLEMENT)
