"""Transactions that a development chain takes unsigned (``anvil_impersonateAccount``)."""

from typing import Any

import rlp
from eth.vm.forks.prague.transactions import PragueTypedTransaction
from eth_typing import Address


class ImpersonatedTransaction(PragueTypedTransaction):
    """A typed transaction in whose signature ``r`` is the sender and ``s`` is 1.

    It is valid in the memory of the node that made it alone: whoever reads it from a block's RLP recovers
    another sender, so no full node imports the block.
    """

    def __init__(self, forged: Any) -> None:
        super().__init__(forged.type_id, forged._inner)
        self._impersonated = Address(forged.r.to_bytes(20, "big"))

    @classmethod
    def forge(cls, sender: Address, unsigned: Any) -> "ImpersonatedTransaction":
        """An unsigned typed transaction as if ``sender`` had sent it."""
        payload = rlp.encode([*rlp.decode(rlp.encode(unsigned)), b"", sender.lstrip(b"\0"), b"\1"])
        forged: Any = PragueTypedTransaction.decode(bytes([unsigned._type_id]) + payload)
        return cls(forged)

    def get_sender(self) -> Address:
        """Whom the node pretends to be."""
        return self._impersonated

    def check_signature_validity(self) -> None:
        """There is none to check."""


class Impersonation:
    """Whose transactions a chain takes unsigned. Guarded by the chain's lock."""

    def __init__(self) -> None:
        self._senders: set[Address] = set()
        self.everybody = False

    def start(self, sender: Address) -> None:
        """Take unsigned transactions of an account."""
        self._senders.add(sender)

    def stop(self, sender: Address) -> None:
        """Take them no more."""
        self._senders.discard(sender)

    def covers(self, sender: Address) -> bool:
        """Whether unsigned transactions of an account are taken."""
        return self.everybody or sender in self._senders
