"""How many blocks to ask for at once: nodes differ in their limits, and in how they tell."""

from typing import Final

START: Final = 1_000
MOST: Final = 10_000


class Ranges:
    """A range length that halves on every error and grows again on success."""

    def __init__(self, start: int = START, most: int = MOST) -> None:
        self._most = most
        self.length = start

    def next(self, first: int, last: int) -> tuple[int, int]:
        """The next blocks to read out of those that remain (inclusive)."""
        return first, min(last, first + self.length - 1)

    def failed(self) -> bool:
        """Ask for half as many. False where one block alone was too much, so the length is not to blame."""
        if self.length == 1:
            return False
        self.length = max(1, self.length // 2)
        return True

    def succeeded(self) -> None:
        """Ask for more next time."""
        self.length = min(self._most, self.length + max(1, self.length // 4))
