"""Make the project's environment: ``.venv`` from constraints.txt and ``node_modules`` from package-lock.json.

``python3.11 scripts/setup.py demo`` installs what ``make demo`` runs, ``... dev`` also what tests and checks
need (torch among it). Standard library only.

What was done is recorded with a fingerprint of the files it is made from. So a run with nothing to do takes a
moment, and an environment that an interrupt left half-made is never taken for a whole one: it is made again.
"""

from __future__ import annotations

import sys

if sys.version_info[:2] != (3, 11):
    sys.exit(
        f"Foretell needs Python 3.11, and {sys.executable} is {sys.version.split()[0]}.\n"
        "Install it (Debian: apt-get install python3.11 python3.11-venv; macOS: brew install python@3.11)\n"
        "or say where it is: make setup PYTHON=/path/to/python3.11"
    )

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
NODE_MODULES: Final = ROOT / "node_modules"
STATE: Final = VENV / "foretell.json"
BUILD: Final = ROOT / ".build"
LOG: Final = BUILD / "setup.log"
STAGES: Final = ("demo", "dev")
MINIMUM_NODE: Final = 20
NETWORK_HINT: Final = (
    "If the log speaks of the network, check that pip and npm reach a registry; then run it again."
)


class SetupError(Exception):
    """The environment cannot be made; the message says why and what to do."""


class Progress:
    """A line that tells what happens and for how long: redrawn on a terminal, printed now and then elsewhere.

    What is told can be changed at any time, to a text or to something that is asked for one.
    """

    def __init__(self, what: str) -> None:
        self.detail: str | Callable[[], str] = "working"
        self._what = what
        self._started = time.monotonic()
        self._tty = sys.stdout.isatty()
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        if not self._tty:
            print(f"  {self._what} ...", flush=True)
        self._teller.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._teller.join()
        clear = "\r\033[K" if self._tty else ""
        result = "done in" if failure is None else "stopped after"
        print(f"{clear}  {self._what}: {result} {self._seconds()}", flush=True)

    def _tell(self) -> None:
        while not self._over.wait(0.5 if self._tty else 10):
            detail = self.detail if isinstance(self.detail, str) else self.detail()
            line = f"  {self._what}: {detail} ({self._seconds()})"
            if self._tty:
                line = f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}"
            print(line, end="" if self._tty else "\n", flush=True)

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._started:.0f} s"


# ------------------------------------------------------------------------------------------------ the record


def python_fingerprint(stage: str) -> str:
    """Hash of all that decides what is in the virtual environment; linter settings are not among it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built_from = {
        "build": project["build-system"],
        "project": project["project"],
        "packages": project["tool"]["setuptools"],
        "constraints": (ROOT / "constraints.txt").read_text(),
        "stage": stage,
        # an editable install knows the import packages of the day it was made
        "imports": sorted(path.parent.name for path in ROOT.glob("[pr]*/*/__init__.py")),
    }
    return hashlib.sha256(json.dumps(built_from, sort_keys=True).encode()).hexdigest()


def node_fingerprint(stage: str) -> str:
    """Hash of all that decides what is in ``node_modules``."""
    files = [(ROOT / name).read_text() for name in ("package.json", "package-lock.json")]
    return hashlib.sha256("\0".join([stage, *files]).encode()).hexdigest()


def read_state() -> dict[str, Any]:
    """What the last run recorded; empty where there is none or it cannot be read."""
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(**changes: Any) -> None:
    """Merge ``changes`` into the record, atomically."""
    state = {**read_state(), **changes}
    temporary = STATE.with_suffix(".tmp")
    temporary.write_text(json.dumps(state, indent=1))
    temporary.replace(STATE)


def is_done(part: str, stage: str) -> bool:
    """Whether ``part`` (python or node) is in place for ``stage``, or for a later one that holds it."""
    state = read_state()
    if state.get("root") != str(ROOT) or state.get("installing"):
        return False
    # The interpreter of a virtual environment is a link, dead once the Python it came from is removed.
    if not (VENV / "bin" / "python" if part == "python" else NODE_MODULES).exists():
        return False
    fingerprint = python_fingerprint if part == "python" else node_fingerprint
    return any(state.get(part) == fingerprint(later) for later in STAGES[STAGES.index(stage) :])


# -------------------------------------------------------------------------------------------------- the work


def require_tools() -> None:
    """Refuse early, and in words, where Node, npm or Python's venv module is missing."""
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            "This Python cannot make virtual environments: install its venv package "
            "(Debian: apt-get install python3.11-venv)."
        )
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        raise SetupError(
            f"{' and '.join(missing)} not found. Foretell compiles verifier contracts with solc from npm.\n"
            f"Install Node.js {MINIMUM_NODE} or newer, which brings npm "
            "(Debian: apt-get install nodejs npm; macOS: brew install node)."
        )
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    found = re.match(r"v(\d+)", version)
    if found is None or int(found[1]) < MINIMUM_NODE:
        raise SetupError(
            f"Node.js {MINIMUM_NODE} or newer is needed, and `node --version` says {version or 'nothing'}."
        )


def child_environment() -> dict[str, str]:
    """This process's environment less what would make pip install somewhere else."""
    dropped = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PIP_USER": "0", "PYTHONUNBUFFERED": "1"}


def lines_of(command: list[str]) -> Iterator[str]:
    """Run a command in the project's root, keep what it says in the log, and pass it on line by line.

    Raises:
        SetupError: it ended with an error.
    """
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child:
            for line in child.stdout or ():
                log.write(line)
                yield line
    if child.returncode != 0:
        tail = "".join(f"    {line}\n" for line in LOG.read_text().splitlines()[-12:])
        raise SetupError(
            f"`{command[0]}` ended with code {child.returncode}:\n{tail}"
            f"The whole log is in {LOG.relative_to(ROOT)}. {NETWORK_HINT}"
        )


def pip_install(what: str, *arguments: str) -> None:
    """Install into the virtual environment within the constraints."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += [
        "--disable-pip-version-check",
        "--prefer-binary",
        "--no-compile",
        "-c",
        "constraints.txt",
        *arguments,
    ]
    found = 0
    with Progress(what) as progress:
        for line in lines_of(command):
            if line.startswith(("Collecting ", "Processing ")):
                found += 1
                progress.detail = f"{found} packages found, now {Path(line.split()[1]).name[:40]}"
            elif line.startswith("Requirement already satisfied:"):
                progress.detail = "checking what is there"
            elif line.startswith("Installing collected packages:"):
                progress.detail = unpacked


def unpacked() -> str:
    """How far pip is while it unpacks, of which it says nothing itself."""
    site_packages = VENV / "lib" / "python3.11" / "site-packages"
    return f"unpacking, {len(list(site_packages.glob('*.dist-info')))} packages are there"


def make_venv() -> None:
    """A fresh virtual environment, marked unfinished before anything is in it."""
    # Not the interpreter of a virtual environment, which may be the very one that was just removed.
    base = getattr(sys, "_base_executable", sys.executable)
    with Progress("making the virtual environment .venv"):
        VENV.mkdir()
        write_state(root=str(ROOT), installing=True)
        for _ in lines_of([base, "-m", "venv", str(VENV)]):
            pass


def prepare_venv() -> None:
    """Keep a virtual environment that an earlier run finished, and replace any other that is ours."""
    state = read_state()
    if VENV.exists() and not state:
        raise SetupError(
            ".venv exists and was not made by `make setup`. Move it away, or remove it with `make clean-all`."
        )
    unusable = (
        state.get("installing") or state.get("root") != str(ROOT) or not (VENV / "bin" / "python").exists()
    )
    if VENV.exists() and unusable:
        print("  .venv was left unfinished, or moved, or its Python is gone: making it again", flush=True)
        shutil.rmtree(VENV)
    if not VENV.exists():
        make_venv()
    write_state(installing=True)


def install_python(stage: str) -> None:
    """Bring ``.venv`` to ``stage``."""
    prepare_venv()
    if stage == "dev":
        pip_install("torch, which trains the example models", "torch==2.13.0")
    size = "about 450 MB" if stage == "demo" else "about 700 MB besides torch"
    pip_install(f"the Python packages ({size} unpacked)", "-e", f".[{stage}]")
    write_state(python=python_fingerprint(stage), installing=False)


def install_node(stage: str) -> None:
    """Bring ``node_modules`` to ``stage``: solc, and for tests anvil."""
    what, omit = ("solc", ["--omit=optional"]) if stage == "demo" else ("solc, Foundry, viem and ethers", [])
    with Progress(f"{what} from npm"):
        for _ in lines_of(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", *omit]):
            pass
    write_state(node=node_fingerprint(stage))


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Wait for another setup of this folder to end."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  another `make` is setting this folder up: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(stage: str) -> None:
    """Install what ``stage`` lacks, and say nothing where it lacks nothing."""
    if is_done("python", stage) and is_done("node", stage):
        return
    with only_one():
        missing = [part for part in ("python", "node") if not is_done(part, stage)]
        if not missing:
            return
        require_tools()
        LOG.write_text("")
        purpose = "the demo" if stage == "demo" else "tests and checks"
        print(
            f"Setting up what {purpose} need{'s' if stage == 'demo' else ''} in .venv and node_modules:",
            flush=True,
        )
        if "python" in missing:
            install_python(stage)
        if not is_done("node", stage):
            install_node(stage)


def main() -> int:
    """Run one stage; 0 done, 1 failed, 2 misused, 130 interrupted."""
    if len(sys.argv) != 2 or sys.argv[1] not in STAGES:
        print(f"usage: {sys.argv[0]} {{{','.join(STAGES)}}}", file=sys.stderr)
        return 2
    try:
        set_up(sys.argv[1])
    except SetupError as error:
        print(f"\nSetup failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was half-made is made again by the next run.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
