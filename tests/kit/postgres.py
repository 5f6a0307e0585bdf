"""A real PostgreSQL server of a test's own, from the binaries of Debian's package."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.kit.anvil import free_port

PASSWORD = "canary-database-password"


def find_binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: Debian keeps them off PATH, by version."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in versions), default=None)


class Postgres:
    """One server on a port of 127.0.0.1. It refuses to run as root, so root starts it as ``postgres``."""

    def __init__(self, binaries: Path) -> None:
        self.port = free_port()
        self._binaries = binaries
        # Not below pytest's folder: that is closed to the user of the server.
        self._folder = Path(tempfile.mkdtemp(prefix="foretell-postgres-"))
        self._data = self._folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://foretell:{password}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._user:
            shutil.chown(self._folder, self._user)
            shutil.chown(secret, self._user)
        arguments = ["--username=foretell", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        self._call("initdb", "-D", str(self._data), "--encoding=UTF8", "--locale=C", *arguments)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        options = [
            "-p",
            str(self.port),
            "-k",
            str(self._folder),
            "-c",
            "fsync=off",
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        log = (self._folder / "log").open("ab")
        self._server = subprocess.Popen(
            [self._binaries / "postgres", "-D", str(self._data), *options],
            user=self._user, cwd="/", stdout=log, stderr=log,
        )  # fmt: skip
        until = time.monotonic() + 60
        ready = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < until, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
            self._server = None

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments], user=self._user, cwd="/", check=True, capture_output=True
        )
