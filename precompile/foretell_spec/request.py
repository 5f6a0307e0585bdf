"""Requests and receipts of the precompile: the ids under which one question is asked and answered."""

from typing import Final

from eth_abi import encode
from eth_typing import ChecksumAddress
from eth_utils import keccak

from foretell_spec.addresses import PRECOMPILE

NO_SEED: Final = b"\0" * 32
"""Seed of every class but ``SEEDED``."""

PRECOMPILE_REQUEST_TYPEHASH: Final = keccak(
    text="PrecompileRequest(uint256 chain_id,address precompile,bytes32 model_id,bytes32 input_hash,"
    "bytes32 seed)"
)
SEED_TYPEHASH: Final = keccak(
    text="Seed(uint256 chain_id,address origin,uint256 nonce,uint256 call_index,address caller,"
    "bytes32 model_id,bytes32 input_hash)"
)
RECEIPT_TYPEHASH: Final = keccak(text="Receipt(bytes32 request_id,bytes32 output_hash,address operator)")


def precompile_request_id(chain_id: int, model_id: bytes, input_hash: bytes, seed: bytes = NO_SEED) -> bytes:
    """Id of a request through the precompile.

    It names no caller: outside class ``SEEDED`` the answer depends on model and input alone, so the same
    question of many transactions is computed once.
    """
    words = ["bytes32", "uint256", "address", "bytes32", "bytes32", "bytes32"]
    return keccak(
        encode(words, [PRECOMPILE_REQUEST_TYPEHASH, chain_id, PRECOMPILE, model_id, input_hash, seed])
    )


def call_seed(
    chain_id: int,
    origin: ChecksumAddress,
    nonce: int,
    call_index: int,
    caller: ChecksumAddress,
    model_id: bytes,
    input_hash: bytes,
) -> bytes:
    """Seed of a call of a ``SEEDED`` model.

    No operator and no builder has a say in it, and other transactions do not change it. ``nonce`` is the
    origin's when the call is made; ``call_index`` counts the calls of such models in the transaction from 0.
    """
    words = ["bytes32", "uint256", "address", "uint256", "uint256", "address", "bytes32", "bytes32"]
    values = [SEED_TYPEHASH, chain_id, origin, nonce, call_index, caller, model_id, input_hash]
    return keccak(encode(words, values))


def receipt_id(request_id: bytes, output_hash: bytes, operator: ChecksumAddress) -> bytes:
    """Id of one operator's output for one request."""
    return keccak(
        encode(["bytes32"] * 3 + ["address"], [RECEIPT_TYPEHASH, request_id, output_hash, operator])
    )
