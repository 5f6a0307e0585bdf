"""Compiled contracts, shipped so that nobody needs a compiler to deploy them.

``scripts/build_artifacts.py`` writes ``artifacts/*.json`` from ``contracts/``; ``make check`` compares them.
"""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

_ARTIFACTS = files(__name__) / "artifacts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract.

    ``bytecode`` is the creation code without constructor arguments. ``runtime`` is the code that it deploys,
    before the constructor appends immutables. ``source_hash`` is the compiler's digest of the source and all
    its imports.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    compiler: str
    source_hash: str


@cache
def load(name: str) -> Artifact:
    """The artifact of a contract, for example ``"Settlement"``.

    Raises:
        KeyError: no contract of this name is shipped; the message lists those that are.
    """
    file = _ARTIFACTS / f"{name}.json"
    if name not in names():
        raise KeyError(f"no artifact {name!r}; there are {', '.join(names())}")
    data = json.loads(file.read_text(encoding="utf-8"))
    return Artifact(
        name=name,
        abi=data["abi"],
        bytecode=bytes.fromhex(data["bytecode"][2:]),
        runtime=bytes.fromhex(data["runtime"][2:]),
        compiler=data["compiler"],
        source_hash=data["source_hash"],
    )


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Names of all shipped contracts, sorted."""
    found = (file.name for file in _ARTIFACTS.iterdir() if file.name.endswith(".json"))
    return tuple(sorted(name.removesuffix(".json") for name in found))
