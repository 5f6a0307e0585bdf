"""Ether that moves, told as logs among the real ones, in the order in which it happens.

``eth_simulateV1`` and clients that show what a call would move use ERC-20's event from this address.
"""

from typing import Any, Final

from eth.abc import ComputationAPI
from eth.vm import opcode_values
from eth_typing import Address
from eth_utils import keccak

from foretell_evm.computation import ForetellComputation

ETHER: Final = Address(b"\xee" * 20)
_TRANSFER: Final = int.from_bytes(keccak(text="Transfer(address,address,uint256)"), "big")
Log = tuple[bytes, tuple[int, ...], bytes]
"""Address, topics, data."""


def _topic(address: bytes) -> int:
    return int.from_bytes(address, "big")


class _TellingSelfdestruct:
    """The instruction, that says first where the account's ether goes."""

    mnemonic: Final = "SELFDESTRUCT"

    def __init__(self, opcode: Any) -> None:
        self._opcode = getattr(opcode, "__wrapped__", opcode)  # without py-evm's warning

    def __call__(self, computation: Any) -> None:
        owner, stack = computation.msg.storage_address, computation._stack.values
        if stack:
            heir = stack[-1] if isinstance(stack[-1], int) else _topic(stack[-1])
            computation.tell(owner, heir % 2**160, computation.state.get_balance(owner))
        self._opcode(computation)


class TransferComputation(ForetellComputation):
    """A frame that notes as logs what ether it moves."""

    opcodes: dict[int, Any] = {  # noqa: RUF012 - py-evm declares it on instances
        **ForetellComputation.opcodes,
        opcode_values.SELFDESTRUCT: _TellingSelfdestruct(
            ForetellComputation.opcodes[opcode_values.SELFDESTRUCT]
        ),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        message: Any = self.msg
        if message.should_transfer_value:
            self.tell(message.sender, _topic(message.storage_address), message.value)

    def tell(self, sender: bytes, receiver: int, amount: int) -> None:
        """Note that ether moves, if it does; a frame that fails takes it back with its logs."""
        if amount:
            self.add_log_entry(ETHER, (_TRANSFER, _topic(sender), receiver), amount.to_bytes(32, "big"))

    def get_log_entries(self) -> tuple[Log, ...]:
        """The real logs alone: receipts have no others."""
        return tuple(log for log in logs_with_transfers(self) if log[0] != ETHER)


def logs_with_transfers(computation: ComputationAPI) -> tuple[Log, ...]:
    """All logs of a frame and those inside it, in order."""
    return tuple(log[1:] for log in computation.get_raw_log_entries())
