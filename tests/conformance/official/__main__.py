"""Official tests from a folder: ``python -m tests.conformance.official FOLDER...``.

A file's content says what it is: state and blockchain tests of ethereum/tests and of execution-spec-tests,
precompile vectors as in go-ethereum, tests of tries, RLP and transactions.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from foretell_evm.errors import EvmError
from tests.conformance.official import (
    blockchain_tests,
    encoding_tests,
    frontier_tests,
    precompile_vectors,
    state_tests,
)
from tests.conformance.official.findings import Finding, Json, Result, skip, table
from tests.conformance.official.values import octets

_OTHER = "other files"


def check_file(path: Path) -> Iterator[Finding]:
    """Every test of a file."""
    try:
        text = path.read_bytes()
        content = json.loads(gzip.decompress(text) if path.suffix == ".gz" else text)
    except (ValueError, OSError):
        yield skip(_OTHER, str(path), "no JSON")
        return
    if isinstance(content, list):
        yield from _check_list(path, content)
    elif "ciphersuite" in content:
        yield from precompile_vectors.check_curve(path.stem, content)
    else:
        for name, test in content.items():
            yield from _check_test(f"{path.name}: {name}", path, test)


def _check_list(path: Path, content: list[Json]) -> Iterator[Finding]:
    first = content[0] if content and isinstance(content[0], dict) else {}
    if "Input" in first:
        yield from precompile_vectors.check(path.stem, content)
    elif "name" in first and ("signedTransaction" in first or "signed" in first):
        for each in content:
            yield from _check_signed(f"{path.name}: {each['name']}", each)
    else:
        yield skip(_OTHER, str(path), "nothing that the fork has of its own")


def _check_signed(name: str, test: Json) -> Iterator[Finding]:
    sender = octets(test.get("accountAddress") or test["address"])
    for field in ("signedTransaction", "signedTransactionChainId5", "signed"):
        if field in test:
            yield from encoding_tests.check_transaction(f"{name}, {field}", octets(test[field]), sender)


def _check_test(name: str, path: Path, test: Any) -> Iterator[Finding]:
    fields = test.keys() if isinstance(test, dict) else set()
    if {"pre", "transaction", "post"} <= fields:
        is_frontier = "postStateRoot" in fields
        yield from (frontier_tests.check_state if is_frontier else state_tests.check)(name, test)
    elif {"pre", "exec"} <= fields:
        yield from frontier_tests.check_vm(name, test)
    elif {"blocks", "genesisRLP", "network"} <= fields:
        yield from blockchain_tests.check(name, test)
    elif {"in", "root"} <= fields:
        yield from encoding_tests.check_trie(name, test, hashed="secure" in path.name.lower())
    elif {"in", "out"} <= fields:
        yield from encoding_tests.check_rlp(name, test)
    elif {"rlp", "sender", "transaction"} <= fields:
        yield from encoding_tests.check_transaction(name, octets(test["rlp"]), octets(test["sender"]))
    else:
        yield skip(_OTHER, name, "nothing that the fork has of its own")


def check_folders(folders: Sequence[Path], without: Sequence[str] = ()) -> Iterator[Finding]:
    """Every test of every file below the folders; one that breaks the runner has failed."""
    paths = (path for folder in folders for path in sorted(folder.rglob("*")))
    for path in paths:
        if path.name.split(".")[0] in without:
            yield skip(_OTHER, str(path), "left out by --without")
        elif path.name.endswith((".json", ".json.gz")):
            try:
                yield from check_file(path)
            except (EvmError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                yield Finding(_OTHER, str(path), Result.FAILED, f"{type(error).__name__}: {error}")


def main() -> int:
    """The exit code: 1 where a test failed, 2 where there was none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--without", default="", help="names of files that are left out, with commas between")
    given = parser.parse_args()
    findings = list(check_folders(given.folders, given.without.split(",")))
    for line in table(findings):
        print(line)
    if not any(each.result is not Result.SKIPPED for each in findings):
        print("no test was found in there; the folder has to hold .json files of official tests")
        return 2
    return int(any(each.result is Result.FAILED for each in findings))


if __name__ == "__main__":
    sys.exit(main())
