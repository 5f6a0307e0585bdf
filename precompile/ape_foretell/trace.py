"""What a transaction called, and what it printed."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ape_ethereum._print import CONSOLE_ADDRESS
from ape_ethereum.trace import TransactionTrace
from eth_utils import to_canonical_address

if TYPE_CHECKING:
    from eth.abc import ComputationAPI

_CONSOLE: Final = to_canonical_address(CONSOLE_ADDRESS)


class DevnetTrace(TransactionTrace):
    """Ape's, which is a second run: Ape looks for prints after each transaction, and most print nothing."""

    @cached_property
    def debug_logs(self) -> Iterable[tuple[Any]]:
        """What the transaction gave to ``print()`` and ``console.log()``."""
        kept = self.provider.devnet.chain.history.computation(bytes.fromhex(self.transaction_hash[2:]))
        if kept is not None and not _prints(kept):
            return []
        return super().debug_logs


def _prints(computation: "ComputationAPI") -> bool:
    return computation.msg.code_address == _CONSOLE or any(map(_prints, computation.children))
