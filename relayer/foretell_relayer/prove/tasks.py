"""EZKL 23 as tasks for ``runner``: each takes and returns JSON values. Imported in child processes only.

Numbers enter as field elements (little-endian hexadecimal, as EZKL writes them), never as floats: EZKL
reads a float through 32 bits, which would round an input of more than 24 significant bits to another one.
"""

import asyncio
import importlib
import json
import time
from pathlib import Path
from typing import Any, Final

ezkl: Any = importlib.import_module("ezkl")

NORMAL_TIMESTAMP: Final = 0
"""Stands where EZKL writes the time, so that settings of one circuit are one file."""

_SETS: Final = ("required_lookups", "required_range_checks")
"""Written in the order of a hash set, and laid out in that order: unsorted, each run would give other keys.
"""

# Stands in for the Solidity compiler that EZKL looks up and otherwise downloads: only the source is wanted.
_NO_COMPILER: Final = """#!/bin/sh
cat >/dev/null
echo '{"sources":{},"contracts":{"a.sol":{"Halo2Verifier":{"abi":[]},"Halo2VerifierReusable":{"abi":[]}}}}'
"""


class TaskError(Exception):
    """A failure that the parent maps to its own error by ``kind``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def version() -> str:
    """EZKL's version."""
    return str(ezkl.__version__)


def gen_srs(srs: str, logrows: int) -> None:
    """Write a fresh structured reference string. Its secret is random and forgotten: good for development
    only.
    """
    ezkl.gen_srs(srs, logrows)


def get_srs(srs: str, logrows: int) -> None:
    """Download a public structured reference string. EZKL checks its hash, too."""

    async def download() -> None:
        await ezkl.get_srs(None, logrows, srs)

    asyncio.run(download())


def gen_settings(onnx: str, settings: str, run_args: dict[str, Any]) -> dict[str, Any]:
    """Write the settings of a circuit in canonical form (sorted, without a time) and return them."""
    arguments = ezkl.PyRunArgs()
    for name, value in run_args.items():
        setattr(arguments, name, tuple(value) if name == "lookup_range" else value)
    ezkl.gen_settings(onnx, settings, arguments)
    values: dict[str, Any] = json.loads(Path(settings).read_text())
    values["timestamp"] = NORMAL_TIMESTAMP
    for name in _SETS:
        values[name] = sorted(values[name], key=json.dumps)
    Path(settings).write_text(json.dumps(values, sort_keys=True, indent=1) + "\n")
    return values


def compile_circuit(onnx: str, settings: str, circuit: str) -> None:
    """Compile the circuit. Its bytes differ from run to run, the keys made of it do not."""
    ezkl.compile_circuit(onnx, circuit, settings)


def setup(circuit: str, srs: str, vk: str, pk: str) -> None:
    """Write the verifying and the proving key."""
    ezkl.setup(circuit, vk, pk, srs)


def witness(circuit: str, inputs: list[str], out: str | None = None) -> dict[str, Any]:
    """Run the circuit on one input, and return its output and the ranges that it used."""
    result: dict[str, Any] = ezkl.gen_witness(json.dumps({"input_data": [inputs]}), circuit, out)
    if result["inputs"] != [inputs]:
        raise TaskError("witness", "EZKL computed on another input than it was given")
    if len(result["outputs"]) != 1:
        raise TaskError("refused", "the circuit must have exactly one output")
    return {
        "outputs": result["outputs"][0],
        "lookup": [int(result["min_lookup_inputs"]), int(result["max_lookup_inputs"])],
    }


def trial(onnx: str, run_args: dict[str, Any], batch: list[list[str]]) -> dict[str, Any]:
    """Settings and witnesses of one choice of parameters, without keys, up to the first input that does not
    fit.
    """
    settings = gen_settings(onnx, "trial.json", run_args)
    compile_circuit(onnx, "trial.json", "trial.circuit")
    witnesses = []
    for inputs in batch:
        try:
            witnesses.append(witness("trial.circuit", inputs))
        except RuntimeError:
            break
    return {"settings": settings, "witnesses": witnesses}


def prove(circuit: str, srs: str, vk: str, pk: str, settings: str, inputs: list[str]) -> dict[str, Any]:
    """Prove the circuit's output for ``inputs`` and verify the proof: EZKL proves nonsense without a
    complaint.
    """
    outputs = witness(circuit, inputs, "witness.json")["outputs"]
    begin = time.monotonic()
    ezkl.prove("witness.json", circuit, pk, "proof.json", srs)
    seconds = time.monotonic() - begin
    _verify("proof.json", settings, vk, srs)
    proof = json.loads(Path("proof.json").read_text())
    if proof["instances"] != [inputs + outputs]:
        raise TaskError("invalid", "the proof is about other numbers than the witness")
    return {"proof": bytes(proof["proof"]).hex(), "outputs": outputs, "seconds": seconds}


def verify(proof: str, instances: list[str], settings: str, vk: str, srs: str) -> None:
    """Verify a proof given as hexadecimal bytes."""
    text = {
        "protocol": None,
        "instances": [instances],
        "proof": list(bytes.fromhex(proof)),
        "hex_proof": None,
    }
    unused = {"split": None, "pretty_public_inputs": None, "timestamp": None, "version": None}
    Path("proof.json").write_text(json.dumps(text | unused))
    _verify("proof.json", settings, vk, srs)


def _verify(proof: str, settings: str, vk: str, srs: str) -> None:
    try:
        valid = ezkl.verify(proof, settings, vk, srs)
    except RuntimeError as error:
        raise TaskError("invalid", f"the proof does not verify ({error})") from None
    if valid is not True:
        raise TaskError("invalid", "the proof does not verify")


def verifier_source(vk: str, settings: str, srs: str, reusable: bool = False) -> str:
    """Solidity source of the circuit's verifier, or of the one that takes its key as an argument."""
    compiler = Path.home() / "svm" / "0.8.20" / "solc-0.8.20"
    compiler.parent.mkdir(parents=True)
    compiler.write_text(_NO_COMPILER)
    compiler.chmod(0o700)

    async def generate() -> Any:
        return await ezkl.create_evm_verifier(vk, settings, "verifier.sol", "verifier.abi", srs, reusable)

    asyncio.run(generate())
    return Path("verifier.sol").read_text()


def vka(vk: str, settings: str, srs: str) -> list[str]:
    """The circuit's key as the words (hexadecimal) that the reusable verifier takes."""

    async def generate() -> Any:
        return await ezkl.create_evm_vka(vk, settings, "vka.bytes", srs)

    asyncio.run(generate())
    data = Path("vka.bytes").read_bytes()
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + 32 * count:
        raise TaskError("refused", "EZKL wrote a key in a form that this version does not know")
    return [data[8 + 32 * index : 40 + 32 * index].hex() for index in range(count)]
