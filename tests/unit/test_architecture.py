"""What import-linter cannot say: the specification imports from a short list, and from nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SPEC = Path(__file__).resolve().parents[2] / "precompile" / "foretell_spec"
ALLOWED = {"eth_abi", "eth_keys", "eth_typing", "eth_utils", "foretell_spec"}
# Of the standard library, what computes and touches nothing outside the process.
ALLOWED_STANDARD = {
    "abc",
    "collections",
    "dataclasses",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "types",
    "typing",
}


def imported_roots(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", sorted(SPEC.rglob("*.py")), ids=lambda path: path.stem)
def test_spec_module__imports__only_what_computes(path: Path) -> None:
    assert set(imported_roots(path)) <= ALLOWED | ALLOWED_STANDARD
