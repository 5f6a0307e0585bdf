"""Keccak in C: a block hashes a lot, and eth-hash would choose the slower of its two backends."""

import os

from eth_hash.auto import keccak
from eth_hash.backends import pysha3


def use_fast_keccak() -> None:
    """Let this process hash with pysha3, unless ``ETH_HASH_BACKEND`` names a backend.

    eth-hash takes pycryptodome where it finds it, which goes through ctypes for each hash and is seven times
    slower. Ape brings it along.
    """
    if not os.environ.get("ETH_HASH_BACKEND"):
        keccak.hasher = pysha3.keccak256  # type: ignore[assignment]  # as it replaces itself at first
