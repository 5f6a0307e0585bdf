"""The shared vectors of tests/vectors, as pytest parameters."""

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).resolve().parents[1] / "vectors"


def vectors(file: str, group: str) -> list[dict[str, Any]]:
    """The vectors of one group of a file."""
    group_of_file: list[dict[str, Any]] = json.loads((_FOLDER / f"{file}.json").read_text())[group]
    return group_of_file


def cases(file: str, group: str) -> list[Any]:
    """One parameter for each vector of a group, named after it."""
    return [pytest.param(vector, id=vector["name"]) for vector in vectors(file, group)]


def raw(value: str) -> bytes:
    """Bytes of 0x-hex."""
    return bytes.fromhex(value.removeprefix("0x"))
