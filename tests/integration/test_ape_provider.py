"""`ape test` on a user's project somewhere else: a configuration, a contract and a suite.

The suite runs once; each of its tests is then one here.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Path(__file__).parent / "ape_project"
GUIDE = ROOT / "docs" / "guides" / "ape.md"
MODULES = ("lib/inference.vy", "interfaces/IInference.vyi")
CASES = re.findall(r"^def (test_\w+)", (PROJECT / "tests" / "test_provider.py").read_text(), re.MULTILINE)

pytestmark = pytest.mark.slow


def make_project(folder: Path) -> Path:
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("conftest.py", "__pycache__"))
    shutil.copytree(ROOT / "models" / "volatility", folder / "volatility")
    copy_modules(folder)
    return folder


def copy_modules(folder: Path) -> None:
    for name in MODULES:
        target = folder / "contracts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "contracts" / name, target)


def first_block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, language
    return found[1]


def ape_test(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["ape", "test", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("somewhere") / "else")


@pytest.fixture(scope="module")
def outcomes(project: Path) -> dict[str, list[str]]:
    """The problems of each test of the suite, none where it passed."""
    report = project / "report.xml"
    result = ape_test(project, "tests/test_provider.py", f"--junitxml={report}")
    assert report.is_file(), result.stdout + result.stderr
    found: dict[str, list[str]] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  our own report
        problems = [
            f"{case.get('name')}: {each.get('message')}\n{each.text}"
            for each in case
            if each.tag in ("failure", "error")
        ]
        found.setdefault(str(case.get("name")).partition("[")[0], []).extend(problems)
    return found


@pytest.mark.parametrize("case", CASES)
def test_users_suite__on_the_provider__passes(outcomes: dict[str, list[str]], case: str) -> None:
    assert case in outcomes, sorted(outcomes)
    assert outcomes[case] == []


def test_gas_report__of_a_transaction__counts_what_every_transaction_costs(project: Path) -> None:
    result = ape_test(project, "tests/test_provider.py", "-k", "prevrandao", "--gas")
    row = re.search(r"^\s*draw\s+1\s+(\d+)", result.stdout, re.MULTILINE)
    assert row, result.stdout + result.stderr
    # Every transaction pays 21,000, a fresh word costs 22,100; the rest is the call itself.
    assert 43_100 < int(row[1]) < 44_000


def test_guide__its_first_test__passes_as_written(tmp_path: Path) -> None:
    copy_modules(tmp_path)
    shutil.copytree(ROOT / "models" / "volatility", tmp_path / "models" / "volatility")
    (tmp_path / "ape-config.yaml").write_text(first_block("yaml"))
    (tmp_path / "contracts" / "Decider.vy").write_text(first_block("vyper"))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_guide.py").write_text(first_block("python"))
    result = ape_test(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
