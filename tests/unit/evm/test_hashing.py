"""Hashes come from the C implementation, in a program that starts as the node does."""

import subprocess
import sys


def test_keccak__in_the_node__is_native() -> None:
    ask = "import foretell_evm.cli; from eth_hash.auto import keccak; print(keccak.hasher.__module__)"
    told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "eth_hash.backends.pysha3"
