"""Crash points: places before and after everything that the relayer writes, signs, sends, reads or makes.

A relayer with a plan counts how often it passes a crash point, and at the planned one ends by SIGKILL: no
handler runs, no buffer is flushed, as in a power cut of one process.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from foretell_relayer.chain import Web3Chain
from foretell_relayer.journal.database import Database
from foretell_relayer.runner import LocalRunner
from foretell_relayer.signers import LocalSigner


class CrashPoints:
    """Counts the points that are passed, writes down their names, and crashes at one of them."""

    def __init__(self, passed: Path, crash_at: int | None) -> None:
        self._passed = passed.open("a", buffering=1)
        self._crash_at = crash_at
        self._count = 0

    def pass_by(self, name: str) -> None:
        """One point is passed."""
        self._passed.write(name + "\n")
        self._count += 1
        if self._count == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put a point before and after each write, signature, send, receipt, answer and proof."""
        self._around_writes()
        for owner, name in (
            (LocalSigner, "sign_transaction"),
            (LocalSigner, "sign_bundle"),
            (Web3Chain, "send"),
            (Web3Chain, "receipt"),
        ):
            setattr(owner, name, self._around_async(name, getattr(owner, name)))
        for name in ("infer", "prove"):
            setattr(LocalRunner, name, self._around(name, getattr(LocalRunner, name)))

    def _around_writes(self) -> None:
        write = Database._write

        @contextlib.contextmanager
        def wrapped(journal: Database) -> Iterator[Any]:
            self.pass_by("write.before")
            with write(journal) as connection:
                yield connection
                self.pass_by("write.uncommitted")
            self.pass_by("write.after")

        Database._write = wrapped  # type: ignore[method-assign]

    def _around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            self.pass_by(f"{name}.before")
            result = call(*arguments)
            self.pass_by(f"{name}.after")
            return result

        return wrapped

    def _around_async(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(*arguments: Any) -> Any:
            self.pass_by(f"{name}.before")
            result = await call(*arguments)
            if name != "receipt" or result is not None:
                self.pass_by(f"{name}.after")
            return result

        return wrapped
