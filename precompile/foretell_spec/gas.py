"""What a native call costs: a pure function of its calldata, in the manner of go-ethereum's ``RequiredGas``.

The figures follow what the same work costs as EVM code under EIP-2929 and EIP-2200: a model's entry is read
from cold storage, a signature is recovered, a receipt takes fresh storage words, a proof is verified with
the pairing precompiles. Nobody pays less through the precompile than it costs the nodes.
"""

from typing import Final

from foretell_spec.abi import ASSURANCE_OF, INFER, INFER_OPEN, RECEIPT
from foretell_spec.assurance import Assurance
from foretell_spec.sidecar import MAX_AGREEING

COLD_READ: Final = 2_100
FRESH_WORD: Final = 22_100
RECEIPT_SLOTS: Final = 4
ENTRY_SLOTS: Final = 17
"""Words of a model's registry entry: fifteen of the manifest, the verifier, the registration."""
OPERATOR_SLOTS: Final = 6
"""Words of an operator's record."""

UNKNOWN_CALL: Final = 100
INFER_BASE: Final = ENTRY_SLOTS * COLD_READ + 3_000 + 6_300
"""Registry entry, signature recovery, hashing and the log's topics."""
INFER_PER_INPUT: Final = 600
"""Decoding, quantising, hashing and logging one number."""
INFER_RECORD: Final = RECEIPT_SLOTS * FRESH_WORD
"""Storing the receipt; static calls store nothing."""
PROOF_VERIFICATION: Final = 600_000
"""Covers the verification of a small circuit (an MLP: about 465,000 of execution, 540,000 with calldata)."""
QUORUM_VERIFICATION: Final = (MAX_AGREEING - 1) * (3_000 + OPERATOR_SLOTS * COLD_READ)
"""Covers a signature and an operator's record for each further bundle of the largest quorum."""
RECEIPT_READ: Final = RECEIPT_SLOTS * COLD_READ


def required_gas(data: bytes, *, is_static: bool = False) -> int:
    """Gas of a native call.

    Args:
        data: calldata with selector; malformed calldata has a price too.
        is_static: the call is within a static one, and stores no receipt.
    """
    selector = data[:4]
    if selector in (INFER, INFER_OPEN):
        return _infer_gas(data, is_static)
    if selector in (ASSURANCE_OF, RECEIPT):
        return RECEIPT_READ
    return UNKNOWN_CALL


def _infer_gas(data: bytes, is_static: bool) -> int:
    room = max(0, len(data) - 4 - 4 * 32 + 31) // 32
    numbers = min(int.from_bytes(data[100:132], "big"), room)
    gas = INFER_BASE + INFER_PER_INPUT * numbers
    if not is_static:
        gas += INFER_RECORD
    assurance = int.from_bytes(data[68:100], "big")
    if assurance >= Assurance.PROVEN:
        gas += PROOF_VERIFICATION
    elif assurance == Assurance.AGREED:
        gas += QUORUM_VERIFICATION
    return gas
