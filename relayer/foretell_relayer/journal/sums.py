"""Checksums of what must not change in the journal between its writing and its use."""

import hashlib
from typing import overload


@overload
def checksum(request_id: bytes, text: str) -> bytes: ...
@overload
def checksum(request_id: bytes, text: None) -> None: ...
def checksum(request_id: bytes, text: str | None) -> bytes | None:
    """SHA-256 of a stored text of one request; nothing for nothing."""
    return None if text is None else hashlib.sha256(request_id + text.encode()).digest()
