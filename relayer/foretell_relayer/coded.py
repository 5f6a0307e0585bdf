"""What every error of this package is: a message with a stable code."""

from typing import ClassVar


class CodedError(Exception):
    """An error that logs, metrics and the journal know by ``code``.

    ``retry`` says whether the same may succeed later by itself; ``hint`` what a person can do, if anything.
    """

    code: ClassVar[str]
    retry: ClassVar[bool] = False
    hint: ClassVar[str] = ""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
