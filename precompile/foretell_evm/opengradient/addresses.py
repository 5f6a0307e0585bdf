"""Where OpenGradient's contracts expect its precompiles, its hub and its scheduler."""

from typing import Final

from eth_typing import Address, ChecksumAddress
from eth_utils import to_checksum_address

INFERENCE: Final = Address((0xF4).to_bytes(20, "big"))
HISTORICAL: Final = Address((0xF5).to_bytes(20, "big"))
TEE_VERIFIER: Final = Address((0x900).to_bytes(20, "big"))
PRECOMPILES: Final = (INFERENCE, HISTORICAL, TEE_VERIFIER)

HUB: Final[ChecksumAddress] = to_checksum_address("0x8383C9bD7462F12Eb996DD02F78234C0421A6FaE")
SCHEDULER: Final[ChecksumAddress] = to_checksum_address("0x7179724De4e7FF9271FA40C0337c7f90C0508eF6")
