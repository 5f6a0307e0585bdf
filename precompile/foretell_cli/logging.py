"""Logs for people and for machines: event name and fields, to standard error, with secrets blotted out.

Every part logs through ``structlog.get_logger()``; only the top of a program calls :func:`configure_logging`.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from enum import Enum
from typing import Any, Final, TextIO

import structlog

REDACTED: Final = "[redacted]"
_SECRET_NAME: Final = re.compile(
    r"(private|secret|signing|signer)_?key$|password|passphrase|mnemonic|seed_phrase|secret|authorization|api_?key|auth_?token",
    re.IGNORECASE,
)
# What stands between scheme and host of a URL, and what follows the host: providers put their keys in both.
_URL: Final = re.compile(
    r"\b((?:https?|wss?|postgres(?:ql)?(?:\+\w+)?)://)(?:[^\s/@]+@)?([^\s/?#@]+)([/?#][^\s'\"]+)?"
)
_LOCAL_HOST: Final = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$")


class LogFormat(Enum):
    """How a log line looks."""

    AUTO = "auto"  # CONSOLE on a terminal, JSON elsewhere
    CONSOLE = "console"
    JSON = "json"


def configure_logging(
    log_format: LogFormat = LogFormat.AUTO, *, debug: bool = False, stream: TextIO | None = None
) -> None:
    """Set up structlog for this process; standard library loggers, which third parties use, from WARNING up.

    Args:
        log_format: see :class:`LogFormat`.
        debug: log events of level DEBUG too.
        stream: where lines go; standard error unless given.
    """
    target = stream if stream is not None else sys.stderr
    as_console = log_format is LogFormat.CONSOLE or (log_format is LogFormat.AUTO and target.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=target.isatty())
        if as_console
        else structlog.processors.JSONRenderer(sort_keys=False, default=_plain)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        stream=target, level=logging.WARNING, force=True, format="%(levelname)s %(name)s %(message)s"
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: blots out fields whose name says that they are secret, and keys inside URLs."""
    for name, value in event.items():
        event[name] = REDACTED if _SECRET_NAME.search(name) else _redact_value(value)
    return event


def redact_text(text: str) -> str:
    """``text`` with user, password, path and query of each URL blotted out; a local host's path stays."""
    return _URL.sub(_redact_url, text)


def _redact_url(match: re.Match[str]) -> str:
    scheme, host, path = match.groups()
    if path and path != "/" and not _LOCAL_HOST.match(host):
        path = f"/{REDACTED}"
    return f"{scheme}{host}{path or ''}"


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return redact(None, "", dict(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_redact_value(each) for each in value]
    return value


def _plain(value: object) -> str:
    """How JSON shows what it has no form for: bytes as hex, the rest as text."""
    return f"0x{value.hex()}" if isinstance(value, bytes | bytearray) else redact_text(str(value))
