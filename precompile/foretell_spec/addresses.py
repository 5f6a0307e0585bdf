"""Where the fork keeps its precompile and its system contracts.

The precompile lies above 0x101, because an official execution test requires every lower address that is
no Ethereum precompile to be empty. The system contracts follow it; other chains deploy them anywhere.
"""

from typing import Final

from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address

_BASE: Final = 0xF07E7E11


def _at(offset: int) -> ChecksumAddress:
    return to_checksum_address((_BASE + offset).to_bytes(20, "big"))


PRECOMPILE: Final = _at(0)
MODEL_REGISTRY: Final = _at(1)
OPERATOR_REGISTRY: Final = _at(2)
SETTLEMENT: Final = _at(3)
CIRCUIT_VERIFIER: Final = _at(4)
DISPUTES: Final = _at(5)

ZERO_ADDRESS: Final = to_checksum_address(b"\0" * 20)
