"""The mutation script must not overlook a guard."""

from pathlib import Path

import pytest

from scripts.build_artifacts import compile_contract
from scripts.mutate_contracts import CONTRACTS, FOLDERS, mutants_of

SOURCES = sorted(
    file.relative_to(CONTRACTS) for folder in FOLDERS for file in (CONTRACTS / folder).glob("*.vy")
)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_mutants_of__each_assert__has_one(source: Path) -> None:
    lines = (CONTRACTS / source).read_text(encoding="utf-8").splitlines()
    asserts = {number for number, line in enumerate(lines, 1) if line.lstrip().startswith("assert ")}
    removed = {
        mutant.line
        for mutant in mutants_of(source, bounds=False)
        if mutant.before.lstrip().startswith("assert ")
    }
    assert removed == asserts


def test_mutants_of__called_checks__are_left_out_too() -> None:
    checks = [m.before.strip() for m in mutants_of(Path("OperatorRegistry.vy"), bounds=False)]
    assert checks.count("self._only_settlement()") == 4


def test_mutants_of__bounds__are_moved_by_one() -> None:
    changed = [m.after.strip() for m in mutants_of(Path("lib/tensor.vy"), bounds=True)]
    assert 'assert scale < MAX_SCALE, "tensor: scale over 18 bits"' in changed


def test_mutants_of__removed_assert__still_compiles(tmp_path: Path) -> None:
    source = Path("examples/IndexToken.vy")
    mutant = next(mutants_of(source, bounds=False))
    lines = (CONTRACTS / source).read_text(encoding="utf-8").splitlines()
    lines[mutant.line - 1] = mutant.after
    (tmp_path / "Token.vy").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert compile_contract(Path("Token.vy"), tmp_path)["bytecode"].startswith("0x")
