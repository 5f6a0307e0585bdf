"""Relayers in processes of their own, forked from one that has imported everything: a start costs little."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kit.anvil import PATIENCE, VOLATILITY, Stage, wait_for

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.relays_child"])
SLOW = 2.0
"""How much longer than usual a test waits, as faults come one upon another."""


@dataclass
class Relayer:
    """One relayer: its settings and faults, and the process once it is started.

    ``faults`` are names and arguments of functions of ``relays_child``, which run there before the service.
    """

    folder: Path
    settings: dict[str, Any]
    faults: dict[str, Any] = field(default_factory=dict)
    process: Any = None
    started_at: float = 0.0

    @property
    def log(self) -> Path:
        return self.folder / "relay.log"

    def start(self, **faults: Any) -> "Relayer":
        """Start it, again after an end."""
        from tests.faults.relays_child import serve

        self.started_at = time.monotonic()
        self.log.touch()
        self._offset = self.log.stat().st_size
        arguments = (self.settings, str(self.log), {**self.faults, **faults}, dict(os.environ))
        self.process = _PROCESSES.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        return self

    def text(self) -> str:
        """What it said since its last start."""
        with self.log.open(encoding="utf-8") as file:
            file.seek(self._offset)
            return file.read()

    def wait_text(self, text: str, patience: float = PATIENCE * SLOW) -> float:
        """Wait until it has said something; returns the seconds since its start."""

        def said() -> bool:
            if text in self.text():
                return True
            if not self.process.is_alive():
                raise AssertionError(f"the relayer ended with {self.process.exitcode} before {text!r}")
            return False

        try:
            wait_for(text, said, patience)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()[-4000:]}") from None
        return time.monotonic() - self.started_at

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        if self.process is not None and self.process.is_alive():
            self.process.kill()
        if self.process is not None:
            self.process.join()

    def stop(self) -> int:
        """End it as an operator does; returns the exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self, patience: float = PATIENCE * SLOW) -> int:
        self.process.join(patience)
        assert self.process.exitcode is not None, f"still running after {patience:g} s"
        return int(self.process.exitcode)


def relayer(stage: Stage, folder: Path, **settings: Any) -> Relayer:
    """A relayer for the stage; not started."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "rpc": stage.anvil.url,
        "settlement": stage.book.settlement,
        "models": (VOLATILITY,),
        "journal": folder / "relay.sqlite3",
        "poll": 0.1,
        "bump_after": 3.0,
        "rpc_timeout": 5.0,
    }
    if "keystore" not in settings and "remote_signer" not in settings:
        values["dev_key"] = True
    return Relayer(folder, {**values, **settings})


def until(what: str, probe: Callable[[], Any]) -> Any:
    """Wait patiently."""
    return wait_for(what, probe, PATIENCE * SLOW)
