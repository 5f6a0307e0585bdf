"""The distribution is one that pip installs, Ape finds and type checkers read; its locks name no registry."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "ape_foretell",
    "foretell_cli",
    "foretell_contracts",
    "foretell_evm",
    "foretell_relayer",
    "foretell_spec",
)
# The build backend, called as pip calls it, less the fresh environment for which pip would ask a registry.
# Ape holds `packaging` below the version that setuptools needs, so setuptools is shown its own copy first.
BUILD_WHEEL = """
import importlib.util, pathlib, sys
backend = pathlib.Path(importlib.util.find_spec("setuptools").origin).parent
sys.path.insert(0, str(backend / "_vendor"))
from setuptools import build_meta
build_meta.build_wheel(sys.argv[1])
"""
LOCKS = ("constraints.txt", "package-lock.json", ".npmrc")
# The one kind of address in a lock file: where an author takes donations.
FUNDING = re.compile(r'"url": "https://github\.com/sponsors/\w+"')


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "tree"
    # From a copy of the tracked files: setuptools writes into the tree that it builds.
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if not (ROOT / name).is_file():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, "-c", BUILD_WHEEL, str(folder)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, env=environment)
    assert built.returncode == 0, built.stdout + built.stderr
    return zipfile.ZipFile(next(folder.glob("ape_foretell-*.whl")))


def entry_points_of(group: str) -> dict[str, str]:
    return {
        point.name: point.value
        for point in metadata.distribution("ape-foretell").entry_points.select(group=group)
    }


def test_console_script__installed__is_foretell_alone() -> None:
    assert entry_points_of("console_scripts") == {"foretell": "foretell_cli:main"}


def test_ape_subcommand__installed__is_the_same_group() -> None:
    assert set(entry_points_of("ape_cli_subcommands").values()) == {"foretell_cli:main"}


@pytest.mark.slow
def test_wheel__built__lists_every_package_in_top_level_txt(wheel: zipfile.ZipFile) -> None:
    name = next(each for each in wheel.namelist() if each.endswith(".dist-info/top_level.txt"))
    assert wheel.read(name).decode().split() == sorted(PACKAGES)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_wheel__built__ships_type_marker(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.slow
def test_wheel__built__ships_every_contract_artefact(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "precompile" / "foretell_contracts" / "artifacts"
    expected = {f"foretell_contracts/artifacts/{path.name}" for path in folder.glob("*.json")}
    assert expected
    assert expected <= set(wheel.namelist())


@pytest.mark.slow
def test_wheel__built__ships_every_file_of_the_relayer(wheel: zipfile.ZipFile) -> None:
    package = ROOT / "relayer" / "foretell_relayer"
    expected = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= set(wheel.namelist())


@pytest.mark.slow
def test_wheel__built__carries_licence_and_notice(wheel: zipfile.ZipFile) -> None:
    licences = {Path(name).name for name in wheel.namelist() if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file__always__names_no_host_and_no_path(name: str) -> None:
    text = FUNDING.sub("", (ROOT / name).read_text())
    assert "://" not in text
    assert not re.search(r"(^|[\s\"'@=])/(home|root|opt|work|tmp|usr)/", text)


def test_package_lock__always__has_a_hash_for_each_package() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, entry in packages.items() if name and not entry.get("integrity")] == []


def test_constraints__every_line__pins_one_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line)] == []
