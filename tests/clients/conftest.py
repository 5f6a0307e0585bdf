"""A node with the shipped model, as a user starts it, and the Solidity guide's project, built by forge."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foretell_relayer.models.folder import load
from tests.kit.nodes import NodeProcess

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "node_modules" / ".bin"
GUIDE = ROOT / "docs" / "guides" / "solidity.md"
VOLATILITY = ROOT / "models" / "volatility"
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
PATIENCE_S = 120


@dataclass(frozen=True)
class Client:
    """Runs programs of users against one node."""

    url: str
    folder: Path

    def run(self, *command: str, **environment: str) -> str:
        """Run a command in the folder; what it printed."""
        ran = subprocess.run(
            command, cwd=self.folder, env={**self.environment, **environment}, timeout=PATIENCE_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-4000:]
        return ran.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Tools from npm, and no network."""
        return {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "FOUNDRY_OFFLINE": "true",
            "FOUNDRY_SOLC": str(ROOT / "tests" / "clients" / "solc.js"),
            "NO_COLOR": "1",
        }


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A node that answers for the shipped model."""
    with NodeProcess("--model", str(VOLATILITY)) as node:
        yield node.url


@pytest.fixture(scope="session")
def guide_steps() -> list[tuple[str, str]]:
    """The guide's files and commands in order: a path and its content, or ``sh`` and commands."""
    fenced = re.compile(r"(?:^`([\w./]+)`[^\n]*:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    found = [
        (path, kind, text) for path, kind, text in fenced.findall(GUIDE.read_text()) if path or kind == "sh"
    ]
    return [(path or kind, text) for path, kind, text in found]


@pytest.fixture(scope="session")
def project(url: str, guide_steps: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The guide's files, compiled."""
    client = Client(url, tmp_path_factory.mktemp("guide"))
    for path, text in guide_steps:
        if path != "sh":
            (client.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (client.folder / path).write_text(text)
    client.run("forge", "build")
    return client


@pytest.fixture(scope="session")
def setting(project: Client) -> str:
    """What the scripts of other clients are told, as JSON: where, who, which model, which contract."""
    artifact: dict[str, Any] = json.loads((project.folder / "out" / "Gauge.sol" / "Gauge.json").read_text())
    return json.dumps(
        {
            "url": project.url,
            "key": KEY,
            "model": "0x" + load(VOLATILITY).model_id.hex(),
            "abi": artifact["abi"],
            "bytecode": artifact["bytecode"]["object"],
        }
    )
