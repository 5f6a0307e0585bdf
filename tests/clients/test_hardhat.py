"""Hardhat with the node as its network; `make clients` installs it."""

from pathlib import Path
from shutil import copy, copytree

import pytest

from foretell_relayer.models.folder import load
from tests.clients.conftest import VOLATILITY, Client

HERE = Path(__file__).resolve().parent / "hardhat"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="Hardhat is not there: `make clients`"),
]


def test_hardhat__its_suite_on_the_node__passes(project: Client, tmp_path: Path) -> None:
    for name in ("hardhat.config.js", "package.json"):
        copy(HERE / name, tmp_path)
    copytree(HERE / "test", tmp_path / "test")
    copytree(project.folder / "src", tmp_path / "contracts")
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    told = Client(project.url, tmp_path).run(
        "npx", "hardhat", "test", "--network", "foretell",
        ETH_RPC_URL=project.url, MODEL="0x" + load(VOLATILITY).model_id.hex(),
    )  # fmt: skip
    assert "3 passing" in told
