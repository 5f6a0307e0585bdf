"""Who may talk to the node: programs, and web pages of this machine.

A node has unlocked accounts, and any page that somebody visits can send requests to 127.0.0.1. Browsers name
the page in ``Origin``; programs send none. A page whose name has been pointed at 127.0.0.1 (DNS rebinding) is
of the node's own origin, and sends none either, but the name that it used stands in ``Host``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

LOCAL_PAGES: Final = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Callers:
    """Further origins and host names than those of this machine; ``*`` is any."""

    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why a request with these headers is not answered; ``None`` where it is."""
        origin, host = headers.get("origin"), headers.get("host")
        if origin is not None and not self.is_page_allowed(origin):
            return (
                "pages of other machines are not answered; foretell node --allow-origin names some that are"
            )
        if host is not None and not self._is_host_allowed(host):
            return "this node does not go by that name; foretell node --allow-host adds names"
        return None

    def is_page_allowed(self, origin: str) -> bool:
        """Whether pages of an origin are answered."""
        return re.fullmatch(LOCAL_PAGES, origin) is not None or origin in self.origins or ANY in self.origins

    def _is_host_allowed(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).strip("[]").lower()
        return name == "localhost" or name in self.hosts or ANY in self.hosts or _is_address(name)


def _is_address(name: str) -> bool:
    """Whether a host is an IP address: nobody can point one of these somewhere else."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
