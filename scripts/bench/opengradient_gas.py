"""Nanoseconds that the precompiles of OpenGradient's interface take per gas, beside ecrecover and SHA-256.

Inputs are the worst that each function takes: prices of 18 decimals, the longest queries, the largest RSA key
with the largest exponent. CPU time, median of 30 runs, all in one process.

Bar: at most twice the dearer of ecrecover and SHA-256.

Run: ``python scripts/bench/opengradient_gas.py``
"""

import hashlib
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from eth import precompiles as standard
from eth.exceptions import VMError
from eth_abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils import keccak

from foretell_evm.opengradient import abi, addresses
from foretell_evm.opengradient.config import OpenGradientConfig
from foretell_evm.opengradient.feed import MAX_CANDLES
from foretell_evm.opengradient.feed_file import price_feed
from foretell_evm.opengradient.precompiles import opengradient_precompiles

BAR: Final = 2.0
RUNS: Final = 30
ROWS: Final = 70_000
NOW: Final = 4 * 10**9
_HOUR: Final = 3_600


class _Computation:
    """As much of a computation as these precompiles look at; a static call, so that nothing is logged."""

    def __init__(self, address: bytes, data: bytes) -> None:
        self.msg = SimpleNamespace(
            data=data, data_as_bytes=data, is_static=True, value=0, sender=bytes(20),
            storage_address=address, code_address=address,
        )  # fmt: skip
        self.state = SimpleNamespace(timestamp=NOW)
        self.gas = 0
        self.output = b""

    def consume_gas(self, amount: int, reason: str) -> None:
        del reason
        self.gas += amount


def _nanoseconds_per_gas(precompile: Callable[[Any], Any], address: bytes, data: bytes) -> tuple[float, int]:
    spent, gas = [], 0
    for _ in range(RUNS):
        computation = _Computation(address, data)
        started = time.process_time_ns()
        with suppress(VMError):
            precompile(computation)
        spent.append(time.process_time_ns() - started)
        gas = computation.gas
    return statistics.median(spent) / gas, gas


def _prices() -> OpenGradientConfig:
    def digits(seed: int) -> str:
        return f"{int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:7], 'big') % 10**17 + 10**17}"

    rows = [
        {
            "base": "ETH", "quote": "USD", "time": index * _HOUR, "high": 9, "low": 1,
            "open": f"5.{digits(index)}", "close": f"6.{digits(-index)}", "volume": f"7.{digits(2 * index)}",
        }
        for index in range(min(ROWS, MAX_CANDLES))
    ]  # fmt: skip
    return OpenGradientConfig(feed=price_feed(rows, 60))


def _query(candles: int, minutes: int, types: tuple[int, ...]) -> bytes:
    return abi.QUERY_CANDLES + encode([abi.QUERY], [("ETH", "USD", candles, minutes, 0, types)])


def _rsa() -> bytes:
    key = rsa.RSAPublicNumbers(2**31 - 1, (1 << 8_192) - 1).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return abi.VERIFY_RSA_PSS + encode(["bytes", "bytes32", "bytes"], [der, b"m" * 32, b"\x7f" * 1_024])


def _ecrecover() -> bytes:
    signature = PrivateKey(keccak(text="benchmark")).sign_msg_hash(b"m" * 32)
    words = (27 + signature.v, signature.r, signature.s)
    return b"m" * 32 + b"".join(word.to_bytes(32, "big") for word in words)


@click.command()
def main() -> None:
    """Print a table, and fail over the bar."""
    ours = opengradient_precompiles(_prices())
    every = (2, 0, 1, 3, 4)
    flood = abi.VERIFY_ATTESTATION + encode(["bytes"] * 4, [b"\x9f" + b"\xf6" * 16_000, b"", b"", b""])
    cases = {
        "ecrecover": (standard.ecrecover, bytes(20), _ecrecover()),
        "SHA-256, 128 bytes": (standard.sha256, bytes(20), bytes(128)),
        "0xF5, 1,020 values": (ours[addresses.HISTORICAL], addresses.HISTORICAL, _query(204, 60, every)),
        "0xF5, 65,536 rows": (ours[addresses.HISTORICAL], addresses.HISTORICAL, _query(1, 60 * 65_536, (0,))),
        "0xF5, refused": (ours[addresses.HISTORICAL], addresses.HISTORICAL, _query(2**32 - 1, 60, every)),
        "0x900, RSA of 8,192 bits": (ours[addresses.TEE_VERIFIER], addresses.TEE_VERIFIER, _rsa()),
        "0x900, 16 KB of CBOR": (ours[addresses.TEE_VERIFIER], addresses.TEE_VERIFIER, flood),
    }
    figures = {name: _nanoseconds_per_gas(*case) for name, case in cases.items()}
    worst = max(figures[name][0] for name in list(figures)[:2])
    for name, (nanoseconds, gas) in figures.items():
        click.echo(f"{name:<26} {gas:>10,} gas {nanoseconds:>7.1f} ns/gas {nanoseconds / worst:>6.2f}")
    over = [name for name, (nanoseconds, _) in figures.items() if nanoseconds > BAR * worst]
    if over:
        raise click.ClickException(f"over {BAR} times the standard: {', '.join(over)}")


if __name__ == "__main__":
    main()
