"""Compiles Solidity sources of tests, by npm's ``solc`` under Node."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# One write, so that no pipe is cut short.
_PROGRAM = "process.stdout.write(require('solc').compile(require('fs').readFileSync(0, 'utf8')))"


@cache
def compiled_solidity(source: str, contract: str) -> dict[str, Any]:
    """Artifact of a contract in ``tests/<source>``; skips the test where there is no compiler."""
    if shutil.which("node") is None or not (ROOT / "node_modules" / "solc").is_dir():
        pytest.skip("no solc from npm: `make setup-dev` installs it")
    settings = {
        "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
    }
    sources = {source: {"content": (ROOT / "tests" / source).read_text(encoding="utf-8")}}
    asked = json.dumps({"language": "Solidity", "sources": sources, "settings": settings})
    done = subprocess.run(
        ["node", "-e", _PROGRAM],
        input=asked,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    output = json.loads(done.stdout)
    errors = [each["formattedMessage"] for each in output.get("errors", []) if each["severity"] == "error"]
    if errors:
        raise AssertionError(errors[0])
    found = output["contracts"][source][contract]
    return {"abi": found["abi"], "bytecode": "0x" + found["evm"]["bytecode"]["object"]}
