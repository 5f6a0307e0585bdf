"""Compile the contracts into precompile/foretell_contracts/artifacts/*.json; ``--check`` only compares.

The same sources and compiler give the same bytes: no paths and no times are written.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import vyper
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTIFACTS = ROOT / "precompile" / "foretell_contracts" / "artifacts"
SOURCES = (
    "ModelRegistry.vy",
    "OperatorRegistry.vy",
    "Settlement.vy",
    "Disputes.vy",
    "verifiers/CircuitVerifier.vy",
    "verifiers/EnclaveVerifier.vy",
    "verifiers/ReusableCircuit.vy",
    "opengradient/InferenceHub.vy",
    "opengradient/TaskScheduler.vy",
    "examples/Ask.vy",
    "examples/DynamicFeePool.vy",
    "examples/IndexFeed.vy",
    "examples/IndexToken.vy",
)
EXTENSIONS = {"Settlement.vy": "Disputes.vy"}
"""Contracts whose fallback runs the code of another one: what that one can do belongs to their ABI."""
MAX_RUNTIME_BYTES = 24_576
"""EIP-170."""
_WORD_BYTES = 32


def compile_contract(source: Path, root: Path = CONTRACTS, *, optimize: str | None = None) -> dict[str, Any]:
    """Compile one contract as its pragmas say.

    Args:
        source: path of the contract, absolute or relative to ``root``.
        root: folder that imports are searched in after the contract's own.
        optimize: override of the optimisation level (``gas``, ``codesize``, ``none``).
    """
    bundle = FilesystemInputBundle([root])
    settings = None
    if optimize is not None:
        settings = vyper.compiler.settings.Settings(
            optimize=vyper.compiler.settings.OptimizationLevel.from_string(optimize)
        )
    output = compile_from_file_input(
        bundle.load_file(source),
        input_bundle=bundle,
        settings=settings,
        output_formats=["abi", "bytecode", "bytecode_runtime", "integrity", "layout"],
    )
    return {
        "compiler": f"vyper {vyper.__version__}",
        "source": str(source if not source.is_absolute() else source.relative_to(root)),
        "source_hash": output["integrity"],
        "abi": output["abi"] + _extension(source, root, output["abi"]),
        "bytecode": output["bytecode"],
        "runtime": output["bytecode_runtime"],
        "layout": output["layout"],
    }


def _extension(source: Path, root: Path, abi: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a contract has from the one that its fallback runs: events, and functions that return nothing."""
    extension = EXTENSIONS.get(source.name)
    if extension is None:
        return []
    own = {(entry["type"], entry.get("name")) for entry in abi}
    bundle = FilesystemInputBundle([root])
    output = compile_from_file_input(
        bundle.load_file(Path(extension)), input_bundle=bundle, output_formats=["abi"]
    )
    return [
        entry
        for entry in output["abi"]
        if (entry["type"] == "event" or (entry["type"] == "function" and not entry["outputs"]))
        and (entry["type"], entry["name"]) not in own
    ]


def deployed_size(artifact: dict[str, Any]) -> int:
    """Bytes of the deployed code: the runtime and the immutables behind it."""
    immutables = artifact["layout"].get("code_layout", {})
    runtime_bytes = (len(artifact["runtime"]) - 2) // 2
    return runtime_bytes + sum(_WORD_BYTES * _words(entry) for entry in _leaves(immutables))


def _leaves(layout: dict[str, Any]) -> list[dict[str, Any]]:
    if "length" in layout and "type" in layout:
        return [layout]
    return [leaf for value in layout.values() if isinstance(value, dict) for leaf in _leaves(value)]


def _words(entry: dict[str, Any]) -> int:
    return -(-int(entry["length"]) // _WORD_BYTES)


def render(artifact: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not current")
    check = parser.parse_args().check
    expected = {f"{Path(source).stem}.json": compile_contract(Path(source)) for source in SOURCES}
    problems = [
        f"{name}: {size} bytes deployed, over the {MAX_RUNTIME_BYTES} of EIP-170"
        for name, artifact in expected.items()
        if (size := deployed_size(artifact)) > MAX_RUNTIME_BYTES
    ]
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    stale = sorted({file.name for file in ARTIFACTS.glob("*.json")} - set(expected))
    problems += [f"{name}: no contract of this name" for name in stale]
    for name, artifact in expected.items():
        file = ARTIFACTS / name
        if not check:
            file.write_text(render(artifact), encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != render(artifact):
            problems.append(f"{name}: not current; run python scripts/build_artifacts.py")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
