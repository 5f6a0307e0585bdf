"""What every error of this package is: a message with a stable code."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

_CODE: Final = re.compile(r"[A-Z]-[A-Z]{3}-\d{3}(?=: )")


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


def find(text: str) -> type[CodedError] | None:
    """The class of the error whose code begins ``text``, among those that were imported."""
    found = _CODE.match(text)
    if found is None:
        return None
    return next((kind for kind in _all(CodedError) if kind.code == found[0]), None)


def _all(kind: type[CodedError]) -> Iterator[type[CodedError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _all(each)
