"""Time per gas of each function of the precompile beside the standard ones, in the fork and in one run.

Each figure is the 99th percentile of processor time over gas, less what a call to an account without code
takes: the CALL itself pays for that. Each run starts from a fresh state and knows no manifest. Inputs are
those that make a function slow for what it costs: the greatest, the smallest, malformed ones.

Bar: no function of ours takes more than twice the time per gas of the worst standard precompile. How ours
stand to the median one is told as well: py-evm computes blake2f and BLS12-381 in Python, and is slow there.

Run: ``python -m scripts.bench.gas_honesty``
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from statistics import median, quantiles
from typing import Any, Final

import click
from eth.vm.message import Message
from eth_keys.datatypes import PrivateKey
from eth_typing import Address
from eth_utils import keccak, to_canonical_address
from py_ecc import optimized_bls12_381 as bls
from py_ecc import optimized_bn128 as bn
from web3 import Web3
from web3.types import HexStr, TxParams

from foretell_evm import system_calls
from foretell_evm.chain import ForetellChain
from foretell_evm.resolution import Resolution, resolving
from foretell_evm.rpc.provider import ForetellProvider
from foretell_evm.vm import ForetellVM
from foretell_spec.abi import ASSURANCE_OF, INFER, RECEIPT, InferCall, decode_infer, encode_infer
from foretell_spec.addresses import PRECOMPILE
from foretell_spec.assurance import Assurance
from foretell_spec.bundle import Bundle
from foretell_spec.gas import required_gas
from foretell_spec.operator import InferenceJob
from foretell_spec.tensor import MAX_INPUTS, WAD
from scripts.bench._registries import bond, register_model
from scripts.bench.verification import calldata, seconds

FACTOR: Final = 2
_PATIENCE: Final = 5.0
"""Seconds for one probe."""
GAS: Final = 100_000_000
CALLER: Final = Address(b"\x11" * 20)
OURS: Final = Address(to_canonical_address(PRECOMPILE))
KEY: Final = PrivateKey(keccak(text="operator"))
SIZES: Final = (1, 16, MAX_INPUTS)


class Operator:
    """Signs zero."""

    address = KEY.public_key.to_checksum_address()

    def answer(self, job: InferenceJob) -> Bundle:
        """A signed bundle."""
        bundle = Bundle(job.request_id, job.model_id, job.inputs, (0,), self.address)
        return bundle.signed(KEY, job.chain_id, job.verifying_contract)


@dataclass(frozen=True, slots=True)
class Probe:
    """One input of a function."""

    function: str
    name: str
    to: Address
    data: bytes
    is_static: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What a probe took: gas, and p99 nanoseconds of processor time for each."""

    probe: Probe
    gas: int
    per_gas: float


class Bench:
    """A chain with models of several sizes, whose answers are known."""

    def __init__(self, chain: ForetellChain) -> None:
        self._chain = chain
        self._w3 = Web3(ForetellProvider(chain))
        self._sender = self._w3.eth.accounts[0]
        bond(self._w3, KEY)
        chain.add_operator(Operator())
        self._models = {size: register_model(self._w3, size) for size in SIZES}
        self.call_alone = 0.0

    def ours(self) -> list[Probe]:
        """Inputs of our functions; those of ``infer`` are answered."""
        probes = []
        for size, model_id in self._models.items():
            data = encode_infer(InferCall(model_id, (WAD,) * size, Assurance.SIGNED))
            sent: TxParams = {
                "from": self._sender,
                "to": PRECOMPILE,
                "data": HexStr("0x" + data.hex()),
                "gas": 5_000_000,
            }
            receipt = self._w3.eth.wait_for_transaction_receipt(self._w3.eth.send_transaction(sent))
            if not receipt["status"]:
                raise SystemExit(f"no answer for {size} inputs")
            probes += [
                Probe("infer", f"{size} inputs", OURS, data),
                Probe("infer", f"{size} inputs, static", OURS, data, is_static=True),
            ]
            unknown = encode_infer(InferCall(keccak(text="none"), (WAD,) * size, Assurance.SIGNED))
            probes.append(Probe("infer", f"{size} inputs, unknown model", OURS, unknown, is_static=True))
        largest = encode_infer(InferCall(self._models[MAX_INPUTS], (WAD,) * MAX_INPUTS, Assurance.SIGNED))
        stored = self._last_receipt()
        return [
            *probes,
            Probe("infer", "malformed at its end", OURS, largest[:-1] + b"\1" + bytes(32), is_static=True),
            Probe("infer", "nothing behind the selector", OURS, INFER, is_static=True),
            Probe("assurance_of", "stored", OURS, ASSURANCE_OF + stored),
            Probe("assurance_of", "unknown", OURS, ASSURANCE_OF + bytes(32)),
            Probe("receipt", "stored", OURS, RECEIPT + stored),
            Probe("receipt", "unknown", OURS, RECEIPT + bytes(32)),
            Probe("receipt", "malformed", OURS, RECEIPT + bytes(31)),
            Probe("anything else", "no calldata", OURS, b""),
            Probe("anything else", "32 words", OURS, b"\xff" * 1024),
        ]

    def _last_receipt(self) -> bytes:
        logs = self._w3.eth.get_logs({"address": PRECOMPILE, "fromBlock": 0})
        return bytes(logs[-1]["topics"][1])

    def measure(self, probe: Probe, runs: int) -> Row:
        """Run a probe so often, or as often as ``_PATIENCE`` allows."""
        taken: list[int] = []
        self._run(probe)  # what a process does once, such as reading KZG's trusted setup
        gas, ends = 0, time.monotonic() + _PATIENCE
        while len(taken) < 2 or (len(taken) < runs and time.monotonic() < ends):
            nanoseconds, gas = self._run(probe)
            taken.append(nanoseconds)
        p99 = min(quantiles(taken, n=100)[-1], max(taken))
        return Row(probe, gas, max(0.0, p99 - self.call_alone) / gas)

    def measure_call_alone(self, runs: int) -> None:
        """Find out what a call takes that does nothing, in nanoseconds; figures are less by that."""
        nothing = Probe("", "", Address(b"\x55" * 20), b"")
        self.call_alone = median(self._run(nothing)[0] for _ in range(runs))

    def _run(self, probe: Probe) -> tuple[int, int]:
        system_calls._manifests.clear()
        head = self._chain.head
        state = self._chain.state(head)
        message = Message(
            to=probe.to, sender=CALLER, value=0, data=probe.data, code=b"", gas=GAS, is_static=probe.is_static
        )
        context = state.get_transaction_context_class()(gas_price=0, origin=CALLER)
        with resolving(Resolution(self._chain.source(head))):
            begin = time.thread_time_ns()
            computation = state.computation_class.apply_message(state, message, context)
            taken = time.thread_time_ns() - begin
        return taken, computation.get_gas_used()


def standard() -> Iterable[Probe]:
    """Inputs of the standard precompiles, all of them right: a failure burns what the caller gives."""
    word = _word
    digest, signature = keccak(b""), KEY.sign_msg_hash(keccak(b""))
    recover = digest + word(signature.v + 27) + word(signature.r) + word(signature.s)
    g1, g2 = _point(bn.G1, 32), _twist(bn.G2, 32)
    h1, h2 = _point(bls.G1, 64), bls_twist(bls.G2)
    order = word(bls.curve_order - 1)
    constant = bytearray(int(bls.G1[0]).to_bytes(48, "big"))
    constant[0] |= 0x80
    kzg = b"\1" + sha256(constant).digest()[1:] + word(5) + word(1) + bytes(constant) + b"\xc0" + bytes(47)
    inputs: dict[int, list[tuple[str, bytes]]] = {
        1: [("a signature", recover)],
        2: [("nothing", b""), ("4 KiB", bytes(4096))],
        3: [("nothing", b""), ("4 KiB", bytes(4096))],
        4: [("nothing", b""), ("4 KiB", bytes(4096))],
        5: [_modexp(size, exponent) for size in (32, 256, 1024) for exponent in (1, 32)],
        6: [("two points", g1 + g1)],
        7: [("greatest scalar", g1 + b"\xff" * 32)],
        8: [(f"{count} pairs", (g1 + g2) * count) for count in (1, 2, 4)],
        9: [(f"{rounds} rounds", rounds.to_bytes(4, "big") + bytes(208) + b"\1") for rounds in (1, 1000)],
        10: [("a proof", kzg)],
        11: [("two points", h1 + h1)],
        12: [(f"{count} points", (h1 + order) * count) for count in (1, 4)],
        13: [("two points", h2 + h2)],
        14: [(f"{count} points", (h2 + order) * count) for count in (1, 4)],
        15: [(f"{count} pairs", (h1 + h2) * count) for count in (1, 2)],
        16: [("an element", word(0) + word(12345))],
        17: [("an element", (word(0) + word(12345)) * 2)],
    }
    for number, cases in inputs.items():
        for name, data in cases:
            yield Probe(NAMES[number], name, Address(number.to_bytes(20, "big")), data)


NAMES: Final = (
    "", "ecrecover", "sha256", "ripemd160", "identity", "modexp", "ecadd", "ecmul", "ecpairing", "blake2f",
    "point_evaluation", "bls_g1add", "bls_g1msm", "bls_g2add", "bls_g2msm", "bls_pairing", "bls_map_g1",
    "bls_map_g2",
)  # fmt: skip
"""By address."""


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _point(point: Any, size: int) -> bytes:
    module = bn if size == 32 else bls
    return b"".join(int(each).to_bytes(size, "big") for each in module.normalize(point))


def _twist(point: Any, size: int) -> bytes:
    x, y = bn.normalize(point)
    return b"".join(int(each.coeffs[index]).to_bytes(size, "big") for each in (x, y) for index in (1, 0))


def bls_twist(point: Any) -> bytes:
    """A point of the second group of BLS12-381, as EIP-2537 writes it."""
    x, y = bls.normalize(point)
    return b"".join(int(each.coeffs[index]).to_bytes(64, "big") for each in (x, y) for index in (0, 1))


def _modexp(size: int, exponent: int) -> tuple[str, bytes]:
    body = b"\xff" * size + b"\xff" * exponent + b"\xff" * (size - 1) + b"\xfe"
    return f"{size} bytes to {exponent} bytes", _word(size) + _word(exponent) + _word(size) + body


def proven(rows: Iterable[Row]) -> Row:
    """``infer`` with a proof: a signed answer and the verification of the shipped model's proof."""
    signed = next(row for row in rows if row.probe.name == "16 inputs")
    code, data = calldata()
    verification = max(seconds(ForetellVM, code, data, 20, time.thread_time)) * 1e9
    call = decode_infer(signed.probe.data)
    gas = required_gas(encode_infer(InferCall(call.model_id, call.inputs, Assurance.PROVEN)))
    probe = Probe("infer", "16 inputs, proven", OURS, b"")
    return Row(probe, gas, (signed.per_gas * signed.gas + verification) / gas)


def worst(rows: Iterable[Row]) -> dict[str, Row]:
    """The worst row of each function, the worst function first."""
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda each: -each.per_gas):
        found.setdefault(row.probe.function, row)
    return found


def show(title: str, rows: Iterable[Row]) -> None:
    """Print a table."""
    print(f"\n{title}\n{'':<18} {'worst input':<30} {'gas':>9} {'p99 ns/gas':>11}")
    for row in rows:
        print(f"{row.probe.function:<18} {row.probe.name:<30} {row.gas:>9,} {row.per_gas:>11.1f}")


@click.command()
@click.option("--runs", type=click.IntRange(2), default=100, show_default=True, help="Of each input.")
@click.option("--every", is_flag=True, help="Show every input, not the worst of each function alone.")
def main(runs: int, every: bool) -> None:
    """Measure and compare. Exits 1 where a function misses the bar."""
    with ForetellChain.create() as chain:
        bench = Bench(chain)
        bench.measure_call_alone(runs)
        ours = [bench.measure(probe, runs) for probe in bench.ours()]
        ours.append(proven(ours))
        others = [bench.measure(probe, runs) for probe in standard()]
    choose: Callable[[list[Row]], Iterable[Row]] = list if every else lambda rows: worst(rows).values()
    show("Standard precompiles", choose(others))
    show("Ours", choose(ours))
    of_standard = [row.per_gas for row in worst(others).values()]
    slowest = max(row.per_gas for row in ours)
    ratios = slowest / max(of_standard), slowest / median(of_standard)
    print(f"\nours at worst: {ratios[0]:.2f} of the worst standard precompile, {ratios[1]:.2f} of the median")
    if slowest > FACTOR * max(of_standard):
        raise SystemExit(f"over the bar of {FACTOR} times the worst standard precompile")


if __name__ == "__main__":
    main()
