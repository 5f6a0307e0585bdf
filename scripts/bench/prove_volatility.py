"""What the shipped model costs here: witness, proof, verification; time, memory and gas.

Bars, on two quiet cores: a proof in at most 1.5 s and 300 MB, a verifier contract under 24,576 bytes.

Run: ``python scripts/bench/prove_volatility.py``
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from foretell_cli.logging import LogFormat, configure_logging
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import gas, samples
from foretell_relayer.models.folder import load_circuit
from foretell_relayer.models.store import CircuitCache
from foretell_relayer.prove import circuit
from foretell_relayer.prove.solidity import EIP170_LIMIT

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "models" / "volatility"
MAX_SECONDS: Final = 1.5
MAX_BYTES: Final = 300 * 10**6


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Seconds of each of ``times`` runs."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return taken


@click.command()
@click.option("--times", type=click.IntRange(1), default=5, show_default=True, help="Runs of each kind.")
def main(times: int) -> None:
    """Measure the shipped model. Exits 1 where it misses a bar."""
    configure_logging(LogFormat.AUTO)
    folder = load_circuit(FOLDER)
    verifier = folder.verifier.compiled()
    (inputs,) = samples.quantise_rows(folder.samples()[:1], folder.manifest.input_scale)
    with tempfile.TemporaryDirectory() as scratch, InferenceWorker() as worker:
        begin = time.perf_counter()
        files = CircuitCache(Path(scratch)).files(folder)
        set_up = time.perf_counter() - begin
        worker.witness(files.circuit, inputs)
        witnesses = timed(lambda: worker.witness(files.circuit, inputs), 10 * times)
        proofs: list[circuit.Proof] = []
        whole = timed(lambda: proofs.append(circuit.prove(files, inputs)), times)
        proof = proofs[-1]
        checks = timed(lambda: circuit.verify(files, inputs, proof.outputs, proof.data), times)
    spent = gas.measure(verifier, proof.inputs, proof.outputs, proof.data)
    memory = max(each.peak_memory for each in proofs)
    rows = {
        "set-up from nothing": f"{set_up:.2f} s",
        "witness, warm worker": f"{1000 * statistics.median(witnesses):.1f} ms",
        "proof, EZKL alone": f"{statistics.median(each.seconds for each in proofs):.2f} s",
        "proof with process and check": f"{statistics.median(whole):.2f} s, worst {max(whole):.2f} s",
        "memory of the proof": f"{memory / 10**6:.0f} MB",
        "verification, in a child process": f"{1000 * statistics.median(checks):.0f} ms",
        "proof": f"{len(proof.data)} bytes",
        "verifier contract": f"{len(verifier.runtime)} of {EIP170_LIMIT} bytes",
        "verification gas": f"{spent.call:,} inside a call, {spent.transaction:,} as a transaction",
    }
    table = Table(show_header=False, box=None, pad_edge=False, title=f"{folder.name}: median of {times}")
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)
    if statistics.median(whole) > MAX_SECONDS or memory > MAX_BYTES or not verifier.fits:
        raise SystemExit(
            "over a bar: at most 1.5 s, 300 MB and 24,576 bytes (other work on this machine counts)"
        )


if __name__ == "__main__":
    main()
