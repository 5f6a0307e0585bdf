"""What runs in a relayer's process: the faults that were asked for, then the service as its command does."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from foretell_cli.logging import LogFormat, configure_logging
from foretell_relayer import lease
from foretell_relayer.cli import _relay
from foretell_relayer.config import load_settings
from foretell_relayer.errors import RelayError
from foretell_relayer.housekeeping import LeaseKeeper  # noqa: F401  imported before processes are forked
from foretell_relayer.prove.errors import OutOfMemory
from foretell_relayer.runner import LocalRunner
from foretell_relayer.service import RelayService
from foretell_relayer.store import Journal
from tests.faults.crashing import CrashPoints


def serve(settings: dict[str, Any], log: str, faults: dict[str, Any], environment: dict[str, str]) -> None:
    """Be a relayer until stopped."""
    os.environ.update(environment)
    os.setsid()
    stream = Path(log).open("a", buffering=1)  # noqa: SIM115  for as long as the process lives
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    configure_logging(LogFormat.JSON, debug=bool(faults.pop("debug", False)), stream=stream)
    for name, argument in faults.items():
        globals()[name](argument)
    try:
        asyncio.run(_relay(RelayService(load_settings(**settings))))
    except BaseExceptionGroup as group:
        for error in group.exceptions:
            print(f"Error {error}", file=sys.stderr)
        os._exit(1)
    except RelayError as error:
        print(f"Error {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def crash(plan: tuple[str, int | None]) -> None:
    """Crash at a point: the file for their names, and the number of the point."""
    passed, at = plan
    CrashPoints(Path(passed), at).install()


def short_lease(seconds: float) -> None:
    """A lease that runs out soon."""
    from foretell_relayer import housekeeping, service

    lease.SECONDS = seconds  # type: ignore[misc]
    housekeeping.RENEW_EVERY = service.RENEW_EVERY = seconds / 4  # type: ignore[misc]


def clock_is_wrong(seconds: float) -> None:
    """A clock of the wall that is ahead or behind; the monotonic one goes on as it does."""
    right, opened = time.time, Journal.open

    def wrong() -> float:
        return right() + seconds

    time.time = wrong
    Journal.open = classmethod(lambda _, where: opened(where, wrong))  # type: ignore[method-assign]


def prover_fails(why: str) -> None:
    """A prover that always runs out of memory."""

    def prove(*_: Any) -> bytes:
        raise OutOfMemory(why)

    LocalRunner.prove = prove  # type: ignore[method-assign]


def prover_lies_once(marker: str) -> None:
    """The first proof is damaged between prover and chain; the next ones are as they should be."""
    honest = LocalRunner.prove

    def prove(runner: LocalRunner, *arguments: Any) -> bytes:
        proof = bytearray(honest(runner, *arguments))
        if not Path(marker).exists():
            Path(marker).touch()
            proof[200] ^= 1
        return bytes(proof)

    LocalRunner.prove = prove  # type: ignore[method-assign]
