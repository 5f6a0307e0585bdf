"""OpenGradient's published SDK, as PyPI has it: never installed and never committed."""

import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

SECONDS = 60


@cache
def wheel(version: str) -> zipfile.ZipFile:
    """The wheel of a version; skips the test where it cannot be had."""
    folder = Path(mkdtemp(prefix="opengradient-"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    try:
        subprocess.run(
            [*command, f"opengradient=={version}"], capture_output=True, timeout=SECONDS, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip(f"the wheel of opengradient {version} cannot be had")
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def workflow(version: str) -> dict[str, Any]:
    """ABI and bytecode of the workflow contract that the SDK deploys."""
    content = wheel(version)
    return {
        "abi": json.loads(content.read("opengradient/abi/PriceHistoryInference.abi")),
        "bytecode": "0x"
        + content.read("opengradient/bin/PriceHistoryInference.bin").decode().strip().removeprefix("0x"),
    }


def abi(version: str, name: str) -> list[dict[str, Any]]:
    """A published ABI, for example ``"inference.abi"``."""
    entries: list[dict[str, Any]] = json.loads(wheel(version).read(f"opengradient/abi/{name}"))
    return entries
