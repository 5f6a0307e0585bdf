"""Which web pages may talk to the node: those of this machine.

A node has unlocked accounts, and any page that somebody visits can send requests to 127.0.0.1. Browsers name
the page in ``Origin``; programs send none.
"""

import re
from collections.abc import Mapping
from typing import Final

LOOPBACK: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Origins that are answered."""


def is_allowed(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers is of a program, or of a page of this machine."""
    origin = headers.get("origin")
    return origin is None or re.fullmatch(LOOPBACK, origin) is not None
