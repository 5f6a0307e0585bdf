"""Compiles contracts for tests, once per change of their sources: results are kept in .cache/ by digest."""

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import vyper

from scripts.build_artifacts import EXTENSIONS, compile_contract

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = Path(os.environ.get("FORETELL_CONTRACTS", ROOT / "contracts"))
"""Mutation tests point this at a changed copy."""
OPTIMIZE = os.environ.get("FORETELL_OPTIMIZE")
"""Compile with another optimisation level, to compare what the levels do."""
CACHE = ROOT / ".cache" / "contracts"


_IMPORT = re.compile(r"^from (\.*)([\w.]*) import (\w+)", re.MULTILINE)


def _imports(file: Path) -> list[Path]:
    """Files that a source imports, as far as they are ours."""
    found = []
    for dots, package, name in _IMPORT.findall(file.read_text(encoding="utf-8")):
        folder = file.parent
        for _ in dots[1:]:
            folder = folder.parent
        stem = folder / package.replace(".", "/") / name
        found += [path for path in (stem.with_suffix(".vy"), stem.with_suffix(".vyi")) if path.exists()]
    return found


def _digest(source: Path) -> str:
    """Of the compiler and of a source with all that it imports."""
    extension = EXTENSIONS.get(source.name)
    pending, seen = [source, *([source.with_name(extension)] if extension else [])], set[Path]()
    while pending:
        file = pending.pop().resolve()
        if file not in seen:
            seen.add(file)
            pending += _imports(file)
    digest = hashlib.sha256(f"{vyper.__version__} {OPTIMIZE}".encode())
    for content in sorted(file.read_bytes() for file in seen):
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


@cache
def compiled(source: str) -> dict[str, Any]:
    """Artifact of ``contracts/<source>``, for example ``"mocks/SumVerifier.vy"``."""
    name = source.removesuffix(".vy").replace("/", ".")
    file = CACHE / f"{name}-{_digest(CONTRACTS / source)}.json"
    if not file.exists():
        artifact = compile_contract(Path(source), CONTRACTS, optimize=OPTIMIZE)
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(artifact), encoding="utf-8")
        temporary.replace(file)
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded
