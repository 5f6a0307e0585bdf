"""A real Chromium without a window: what it makes of a page, and what it complains about."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "there is no Chromium here; Debian's package is called chromium"
PATIENCE = 90.0


def binary() -> str | None:
    """Where Chromium is, if it is there."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


@dataclass(frozen=True)
class Seen:
    """The document after everything was loaded, and the lines of the browser's console."""

    dom: str
    console: list[str]


def look(url: str, *arguments: str) -> Seen:
    """Open a page and read it as the browser has it."""
    done = _run(url, "--dump-dom", "--enable-logging=stderr", *arguments)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Seen(done.stdout, console)


def shoot(url: str, file: Path, width: int, height: int) -> None:
    """Write a picture of a page."""
    _run(url, f"--screenshot={file}", f"--window-size={width},{height}", "--hide-scrollbars")


def _run(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = binary()
    if command is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory(prefix="foretell-chromium-") as profile:
        return subprocess.run(
            [
                command, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}",
                *arguments, url,
            ],
            capture_output=True, text=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
