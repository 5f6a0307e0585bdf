"""Compiles Solidity sources of tests, by npm's ``solc`` under Node."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_IMPORT = re.compile(r'^import .*from "(\..*)";$', re.MULTILINE)
# One write, so that no pipe is cut short.
_PROGRAM = "process.stdout.write(require('solc').compile(require('fs').readFileSync(0, 'utf8')))"


@cache
def compiled_solidity(source: str, contract: str) -> dict[str, Any]:
    """Artifact of a contract in ``source``, a path in this repository; skips the test without a compiler."""
    if shutil.which("node") is None or not (ROOT / "node_modules" / "solc").is_dir():
        pytest.skip("no solc from npm: `make setup-dev` installs it")
    settings = {
        "optimizer": {"enabled": True, "runs": 200},
        "evmVersion": "prague",
        "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
    }
    sources = {name: {"content": text} for name, text in _with_imports(Path(source)).items()}
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


def _with_imports(source: Path) -> dict[str, str]:
    """A source and all that it imports by relative paths, by their paths in the repository."""
    pending, found = [source], dict[str, str]()
    while pending:
        path = pending.pop()
        text = found[str(path)] = (ROOT / path).read_text(encoding="utf-8")
        imported = [Path(os.path.normpath(path.parent / name)) for name in _IMPORT.findall(text)]
        pending += [path for path in imported if str(path) not in found]
    return found
