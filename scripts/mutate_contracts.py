"""Does a test fail for every guard? Breaks one guard of a contract at a time and runs the contract tests.

Mutants: an assert that no longer refuses, a check that is not called, a bound that is off by one. A mutant
that no test notices is a survivor. Survivors are printed with file and line, and the exit status is 1.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
TESTS = ROOT / "tests" / "unit" / "contracts"
FOLDERS = (".", "lib", "verifiers", "opengradient", "examples")
TIMEOUT_SECONDS = 300

_ASSERT = re.compile(r"^(\s+)assert (.+?)(, \".*\")?$")
_CHECK = re.compile(
    r"^(\s+)((self|inference_consumer|assured|callback|outcomes)\.(_only|_check|check|require|_require)_\w*\(.*\))$"
)
_GUARD = re.compile(r"^\s+(assert|if|elif) ")
_SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_COMPARISON = re.compile(r" (<=|>=|<|>) ")


@dataclass(frozen=True)
class Mutant:
    """One changed line of one source."""

    source: Path
    line: int
    before: str
    after: str

    def describe(self) -> str:
        """For the report."""
        return f"{self.source}:{self.line}\n    - {self.before.strip()}\n    + {self.after.strip()}"


def mutants_of(source: Path, *, bounds: bool) -> Iterator[Mutant]:
    """All mutants of a source, given relative to ``contracts/``."""
    for number, line in enumerate((CONTRACTS / source).read_text(encoding="utf-8").splitlines(), 1):
        if found := _ASSERT.match(line):
            # The condition is still evaluated: it may be a call.
            yield Mutant(source, number, line, f"{found[1]}if {found[2]}:\n{found[1]}    pass")
        if found := _CHECK.match(line):
            yield Mutant(source, number, line, f"{found[1]}pass")
        if bounds and _GUARD.match(line):
            for place in _COMPARISON.finditer(line):
                after = f"{line[: place.start()]} {_SWAPS[place[1]]} {line[place.end() :]}"
                yield Mutant(source, number, line, after)


def survives(mutant: Mutant) -> bool:
    """Whether all tests pass on the mutant. One that does not compile, or hangs, counts as noticed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "contracts"
        shutil.copytree(CONTRACTS, copy)
        lines = (copy / mutant.source).read_text(encoding="utf-8").splitlines()
        lines[mutant.line - 1] = mutant.after
        (copy / mutant.source).write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:ape_test",
            "-p",
            "no:cacheprovider",
            str(TESTS),
        ]
        environment = {**os.environ, "FORETELL_CONTRACTS": str(copy), "HYPOTHESIS_PROFILE": "dev"}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sources", nargs="*", type=Path, help="relative to contracts/; all deployables and modules without"
    )
    parser.add_argument("--no-bounds", action="store_true", help="leave the off-by-one mutants out")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    arguments = parser.parse_args()
    sources = arguments.sources or [
        file.relative_to(CONTRACTS)
        for folder in FOLDERS
        for file in sorted((CONTRACTS / folder).glob("*.vy"))
    ]
    mutants = [mutant for source in sources for mutant in mutants_of(source, bounds=not arguments.no_bounds)]
    if arguments.list:
        print("\n".join(mutant.describe() for mutant in mutants))
        return 0
    survivors, started = [], time.monotonic()
    for index, mutant in enumerate(mutants, 1):
        if survives(mutant):
            survivors.append(mutant)
            print(f"SURVIVED {mutant.describe()}", flush=True)
        print(f"{index}/{len(mutants)} {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{len(mutants)} mutants, {len(survivors)} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
