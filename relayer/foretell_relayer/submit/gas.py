"""How much gas our transactions take, from those that were included."""

from collections import defaultdict, deque
from typing import Final

from foretell_relayer.core import StepKind

TYPICAL: Final = {
    StepKind.DELIVER.value: 400_000,
    StepKind.DELIVER_PROVEN.value: 1_500_000,
    StepKind.SUBMIT_PROOF.value: 1_200_000,
    StepKind.FINALISE.value: 300_000,
}
"""Gas of each action before the first one of ours was included; callbacks vary."""

_KEPT: Final = 20


class GasUsed:
    """The most gas that the last transactions of each action took."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def observe(self, action: str, gas: int) -> None:
        """A transaction was included."""
        self._seen[action].append(gas)

    def of(self, kind: StepKind) -> int:
        """Gas to reckon with."""
        return max(self._seen.get(kind.value, ()), default=TYPICAL[kind.value])
