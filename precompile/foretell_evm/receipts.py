"""Receipts: what the precompile keeps of a result, in its own storage.

Four words from ``keccak256("foretell.receipt" ++ receipt_id)`` (last two bits cleared) on: model, input hash,
output hash, and one word of operator (bits 0 to 159), assurance (160 to 167) and block number (168 to 231).
The request id follows from these.
"""

from typing import Final

from eth.abc import StateAPI
from eth_typing import Address
from eth_utils import keccak, to_canonical_address, to_checksum_address

from foretell_spec.abi import Receipt
from foretell_spec.addresses import PRECOMPILE, ZERO_ADDRESS
from foretell_spec.assurance import Assurance
from foretell_spec.request import precompile_request_id

ADDRESS: Final = Address(to_canonical_address(PRECOMPILE))
_TAG: Final = b"foretell.receipt"
_ZERO_HASH: Final = b"\0" * 32
NO_RECEIPT: Final = Receipt(_ZERO_HASH, _ZERO_HASH, _ZERO_HASH, _ZERO_HASH, ZERO_ADDRESS, Assurance.NONE, 0)


def load_receipt(state: StateAPI, receipt_id: bytes) -> Receipt:
    """The receipt of this id, or ``NO_RECEIPT``."""
    slot = _slot(receipt_id)
    packed = state.get_storage(ADDRESS, slot + 3)
    if packed == 0:
        return NO_RECEIPT
    model_id, input_hash, output_hash = (
        state.get_storage(ADDRESS, slot + index).to_bytes(32, "big") for index in range(3)
    )
    return Receipt(
        request_id=precompile_request_id(state.execution_context.chain_id, model_id, input_hash),
        model_id=model_id,
        input_hash=input_hash,
        output_hash=output_hash,
        operator=to_checksum_address((packed & (2**160 - 1)).to_bytes(20, "big")),
        assurance=Assurance(packed >> 160 & 0xFF),
        block_number=packed >> 168,
    )


def store_receipt(state: StateAPI, receipt_id: bytes, receipt: Receipt) -> None:
    """Store a receipt; one that is there already keeps the higher assurance."""
    slot = _slot(receipt_id)
    assurance = max(receipt.assurance, Assurance(state.get_storage(ADDRESS, slot + 3) >> 160 & 0xFF))
    for index, word in enumerate((receipt.model_id, receipt.input_hash, receipt.output_hash)):
        state.set_storage(ADDRESS, slot + index, int.from_bytes(word, "big"))
    packed = int(receipt.operator, 16) | assurance << 160 | receipt.block_number << 168
    state.set_storage(ADDRESS, slot + 3, packed)


def _slot(receipt_id: bytes) -> int:
    return int.from_bytes(keccak(_TAG + receipt_id), "big") & ~3
