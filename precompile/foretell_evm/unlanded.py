"""What a question costs whose transaction never comes to a block: a share of its sender's next ones."""

from collections import OrderedDict
from math import ceil
from typing import Final

from eth_typing import Address

_SENDERS: Final = 4096


class Unlanded:
    """Questions by sender that were asked for nothing; one is forgiven every ``forgiven_every`` seconds.

    Of the ``_SENDERS`` who did so last; each of them had the funds for its transactions.
    """

    def __init__(self, forgiven_every: float) -> None:
        self._forgiven_every = forgiven_every
        self._senders: OrderedDict[Address, tuple[float, float]] = OrderedDict()

    def charge(self, sender: Address, questions: int, now: float) -> None:
        """A transaction that has asked so many questions ended outside blocks. ``now`` in seconds."""
        self._senders[sender] = (self._left(sender, now) + questions, now)
        self._senders.move_to_end(sender)
        if len(self._senders) > _SENDERS:
            self._senders.popitem(last=False)

    def count(self, sender: Address, now: float) -> int:
        """Questions that are not wholly forgiven yet."""
        return ceil(self._left(sender, now))

    def _left(self, sender: Address, now: float) -> float:
        count, charged = self._senders.get(sender, (0.0, now))
        return max(0.0, count - (now - charged) / self._forgiven_every)
