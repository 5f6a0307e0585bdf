"""An EZKL verification inside the fork, against the same in stock py-evm, in one run.

Bar: at most 100 ms in the fork.

Run: ``python scripts/bench/verification.py``
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from eth.db.atomic import AtomicDB
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.message import Message
from eth_abi import encode
from eth_typing import Address
from eth_utils import keccak

from foretell_evm.vm import ForetellVM
from foretell_relayer.models import samples
from foretell_relayer.models.folder import load_circuit
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.prove import circuit
from foretell_spec.tensor import to_felt

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "models" / "volatility"
MAX_SECONDS: Final = 0.1
VERIFIER: Final = Address(b"\x22" * 20)
CALLER: Final = Address(b"\x11" * 20)


def calldata() -> tuple[bytes, bytes]:
    """The shipped model's verifier, and a call that it accepts."""
    folder = load_circuit(FOLDER)
    (inputs,) = samples.quantise_rows(folder.samples()[:1], folder.manifest.input_scale)
    with tempfile.TemporaryDirectory() as scratch:
        proof = circuit.prove(CircuitCache(Path(scratch)).files(folder), inputs)
    instances = [to_felt(q) for q in (*proof.inputs, *proof.outputs)]
    selector = keccak(text="verifyProof(bytes,uint256[])")[:4]
    return folder.verifier.compiled().runtime, selector + encode(
        ["bytes", "uint256[]"], [proof.data, instances]
    )


def seconds(
    vm: type[PragueVM], code: bytes, data: bytes, times: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """How long a VM takes for the call, each on a fresh state, by ``clock``."""
    header = vm.create_genesis_header(difficulty=0, gas_limit=30_000_000, timestamp=0)
    context = vm.create_execution_context(header, (), ChainContext(1))
    taken = []
    for _ in range(times):
        state = vm.get_state_class()(AtomicDB(), context, header.state_root)
        message = Message(to=VERIFIER, sender=CALLER, value=0, data=data, code=code, gas=30_000_000)
        transaction = state.get_transaction_context_class()(gas_price=0, origin=CALLER)
        begin = clock()
        computation = state.computation_class.apply_message(state, message, transaction)
        taken.append(clock() - begin)
        if computation.is_error or computation.output != (1).to_bytes(32, "big"):
            raise SystemExit(f"{vm.__name__} does not accept the proof")
    return taken


@click.command()
@click.option("--times", type=click.IntRange(1), default=20, show_default=True, help="Runs in the fork.")
def main(times: int) -> None:
    """Compare. Exits 1 where the fork misses the bar."""
    code, data = calldata()
    fork = statistics.median(seconds(ForetellVM, code, data, times))
    stock = statistics.median(seconds(PragueVM, code, data, max(1, times // 10)))
    print(f"fork {1000 * fork:.1f} ms, stock py-evm {1000 * stock:.0f} ms: {stock / fork:.0f} times faster")
    if fork > MAX_SECONDS:
        raise SystemExit("over the bar of 100 ms")


if __name__ == "__main__":
    main()
