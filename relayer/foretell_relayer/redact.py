"""Keeps secrets out of texts: where errors of other people's code enter, before anything else sees them."""

from typing import Final
from urllib.parse import urlsplit

REDACTED: Final = "[redacted]"
_SHORTEST: Final = 4
"""Parts of a URL shorter than this are no secrets, and blotting them out would ruin every text."""


def public_url(url: str) -> str:
    """Scheme, host and port: providers put keys into all the rest."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class Redactor:
    """Blots a URL's secret parts out of texts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        found = [parts.username or "", parts.password or "", parts.query, *parts.path.split("/")]
        found += [pair.partition("=")[2] for pair in parts.query.split("&")]
        self._public = public_url(url)
        self._url = url
        self._secrets = sorted({each for each in found if len(each) >= _SHORTEST}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """``text`` without the secrets."""
        text = text.replace(self._url, self._public)
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text
