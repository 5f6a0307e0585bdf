"""Time of `ape test` on a plain suite without inference: ``foretell`` against ape's own provider, in one run.

The suite (``plain_suite/``: a Vyper token and vault, their deployments, transactions, calls, events, reverts
and Ape's isolation) is compiled once. Then both providers run it in turn, so that whatever else this machine
does falls on both alike. A run is the whole command, start-up included; its CPU time counts its children.
What both spend before the first test (Ape's, pytest's and web3's imports, from Python's byte code as on any
run but the first) is shown by a suite of one test, and what is left without it by the last line.

Bar: a ratio of medians of CPU time of at most 0.8, start-up included.

Run: ``python scripts/bench/ape_suite.py``
"""

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

MAX_RATIO: Final = 0.8
SUITE: Final = Path(__file__).parent / "plain_suite"
PROVIDERS: Final = ("test", "foretell")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took, in seconds, and how many tests passed in it."""

    wall: float
    cpu: float
    passed: int


def run(project: Path, *arguments: str) -> Run:
    """One command of Ape's in the project."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["ape", *arguments],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"ape {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    passed = re.search(r"(\d+) passed", done.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, int(passed[1]) if passed else 0)


def environment(project: Path) -> dict[str, str]:
    """Ours, with a place for byte code: where it is not kept, either provider compiles for seconds."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPYCACHEPREFIX": str(project.parent / "bytecode")}


def suite(project: Path, provider: str, tests: str) -> Run:
    """A folder of tests on one provider."""
    network = f"ethereum:local:{provider}"
    return run(project, "test", tests, "-q", "-p", "no:cacheprovider", "--network", network)


def make_project(folder: Path, copies: int) -> Path:
    """The compiled project: its suite so many times over, and one test that does nothing but connect."""
    project = Path(shutil.copytree(SUITE, folder / "plain"))
    for file in (project / "tests").glob("test_*.py"):
        for copy in range(1, copies):
            shutil.copy(file, file.with_name(f"{file.stem}_{copy}.py"))
    (project / "start").mkdir()
    (project / "start" / "test_start.py").write_text(
        "def test_start(chain):\n    assert chain.blocks.height >= 0\n"
    )
    run(project, "compile", "--force")
    return project


def compare(project: Path, tests: str, rounds: int) -> dict[str, float]:
    """Print what the folder's tests take on both; their CPU times."""
    runs: dict[str, list[Run]] = {provider: [] for provider in PROVIDERS}
    for round_ in range(rounds):
        for provider in PROVIDERS if round_ % 2 else PROVIDERS[::-1]:
            runs[provider].append(suite(project, provider, tests))
    counts = {each.passed for several in runs.values() for each in several}
    if len(counts) > 1:
        raise SystemExit(f"the runs passed different numbers of tests: {sorted(counts)}")
    wall = {each: statistics.median(one.wall for one in several) for each, several in runs.items()}
    cpu = {each: statistics.median(one.cpu for one in several) for each, several in runs.items()}
    for provider in PROVIDERS:
        print(f"{tests:8}{counts.copy().pop():6}  {provider:10}{wall[provider]:8.2f}{cpu[provider]:8.2f}")
    print(f"{'':16}{'ratio':10}{wall['foretell'] / wall['test']:8.2f}{cpu['foretell'] / cpu['test']:8.2f}")
    return cpu


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Runs of each provider.")
@click.option(
    "--copies", type=click.IntRange(1), default=1, show_default=True, help="Of the suite's 41 tests."
)
def main(rounds: int, copies: int) -> None:
    """Compare. Exits 1 where the provider misses the bar."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), copies)
        for provider in PROVIDERS:
            suite(project, provider, "start")  # which fills Python's own caches
        print(f"medians of {rounds} runs, seconds")
        print(f"{'folder':8}{'tests':>6}  {'provider':10}{'wall':>8}{'CPU':>8}")
        start = compare(project, "start", rounds)
        tests = compare(project, "tests", rounds)
        ours, apes = (tests[each] - start[each] for each in ("foretell", "test"))
        print(f"without start-up {'ratio':17}{ours / apes:8.2f}")
    if tests["foretell"] > MAX_RATIO * tests["test"]:
        raise SystemExit(f"over the bar of {MAX_RATIO}")


if __name__ == "__main__":
    main()
