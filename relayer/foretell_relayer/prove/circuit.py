"""What can be done with an EZKL circuit. Each function runs in a child process and raises ``ProveError``.

Tensors are tuples of quantised integers, as in ``foretell_spec.tensor``; files are named by absolute paths.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from foretell_relayer.prove.limits import GIB, Limits
from foretell_relayer.prove.sandbox import run
from foretell_spec.tensor import Tensor, from_felt, to_felt

EZKL_VERSION: Final = "23.0.5"

QUICK: Final = Limits(seconds=120, memory=4 * GIB)
"""Steps that take well below a second for a model that can be proved at all."""

HEAVY: Final = Limits(seconds=900, memory=12 * GIB)
"""Set-up and proof."""


@dataclass(frozen=True, slots=True)
class RunArgs:
    """EZKL's parameters of a circuit, as far as we choose them.

    Scales are in bits. Numbers are split into ``decomp_legs`` digits of base ``decomp_base``, so every
    value inside the circuit must stay below ``decomp_base ** decomp_legs``; the circuit's tables have ``2
    ** logrows`` rows. Inputs and outputs are public and parameters fixed: the verifying key then binds the
    quantised weights.
    """

    input_scale: int
    param_scale: int
    logrows: int
    decomp_base: int
    decomp_legs: int
    num_inner_cols: int = 2
    lookup_range: tuple[int, int] = (-32768, 32768)
    scale_rebase_multiplier: int = 1

    def to_ezkl(self) -> dict[str, Any]:
        """Names and values of ``ezkl.PyRunArgs``."""
        visibility = {
            "input_visibility": "public",
            "output_visibility": "public",
            "param_visibility": "fixed",
        }
        return asdict(self) | {"lookup_range": list(self.lookup_range)} | visibility


@dataclass(frozen=True, slots=True)
class CircuitFiles:
    """Where a circuit's files are: ``settings`` and ``srs`` are published, the others can be made again."""

    settings: Path
    srs: Path
    circuit: Path
    vk: Path
    pk: Path

    @classmethod
    def in_folder(cls, published: Path, derived: Path) -> "CircuitFiles":
        """The usual names: ``published`` is a model's folder, ``derived`` its cache."""
        return cls(
            settings=published.resolve() / "settings.json",
            srs=published.resolve() / "kzg.srs",
            circuit=derived.resolve() / "circuit.compiled",
            vk=derived.resolve() / "vk.key",
            pk=derived.resolve() / "pk.key",
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that was verified: ``data`` is what the verifier contract takes; time and memory are those of
    its making.
    """

    inputs: Tensor
    outputs: Tensor
    data: bytes
    seconds: float
    peak_memory: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What a choice of parameters gives, without keys: ``outputs`` up to the first input that does not fit,
    whether all of them ``fit``, and the least and greatest value that a table was asked for.
    """

    settings: Mapping[str, Any]
    outputs: tuple[Tensor, ...]
    fit: bool
    lookup: tuple[int, int]


def encode(values: Tensor) -> list[str]:
    """Field elements as EZKL writes them: 32 bytes, little-endian, hexadecimal."""
    return [to_felt(q).to_bytes(32, "little").hex() for q in values]


def decode(felts: Sequence[str]) -> Tensor:
    """Quantised integers of EZKL's field elements."""
    return tuple(from_felt(int.from_bytes(bytes.fromhex(felt), "little")) for felt in felts)


def gen_srs(path: Path, logrows: int, limits: Limits = HEAVY) -> None:
    """Write a fresh SRS of ``2 ** logrows`` rows, never the same twice. Not a ceremony: for development
    chains only.
    """
    run("ezkl.gen_srs", {"srs": str(path), "logrows": logrows}, limits, writes=[path.parent])


def gen_settings(onnx: Path, settings: Path, arguments: RunArgs, limits: Limits = QUICK) -> Mapping[str, Any]:
    """Write the circuit's settings in canonical form, and return them."""
    call = {"onnx": str(onnx), "settings": str(settings), "run_args": arguments.to_ezkl()}
    values: Mapping[str, Any] = run("ezkl.gen_settings", call, limits, writes=[settings.parent]).value
    return values


def compile_circuit(onnx: Path, files: CircuitFiles, limits: Limits = QUICK) -> None:
    """Compile ``onnx`` under ``files.settings``."""
    call = {"onnx": str(onnx), "settings": str(files.settings), "circuit": str(files.circuit)}
    run("ezkl.compile_circuit", call, limits, writes=[files.circuit.parent])


def setup(files: CircuitFiles, limits: Limits = HEAVY) -> float:
    """Write both keys, and return the seconds that it took. The same circuit and SRS give the same keys."""
    call = {"circuit": str(files.circuit), "srs": str(files.srs), "vk": str(files.vk), "pk": str(files.pk)}
    return run("ezkl.setup", call, limits, writes=[files.vk.parent, files.pk.parent]).seconds


def try_parameters(onnx: Path, arguments: RunArgs, batch: Sequence[Tensor], limits: Limits = QUICK) -> Trial:
    """Run ``batch`` through the circuit that ``arguments`` give."""
    call = {"onnx": str(onnx), "run_args": arguments.to_ezkl(), "batch": [encode(inputs) for inputs in batch]}
    value = run("ezkl.trial", call, limits).value
    found = value["witnesses"]
    ranges = [w["lookup"] for w in found] or [[0, 0]]
    return Trial(
        settings=value["settings"],
        outputs=tuple(decode(w["outputs"]) for w in found),
        fit=len(found) == len(batch),
        lookup=(min(low for low, _ in ranges), max(high for _, high in ranges)),
    )


def witness(circuit: Path, inputs: Tensor, limits: Limits = QUICK) -> Tensor:
    """The circuit's output. For many answers use ``foretell_relayer.infer``, whose process stays."""
    return decode(
        run("ezkl.witness", {"circuit": str(circuit), "inputs": encode(inputs)}, limits).value["outputs"]
    )


def prove(
    files: CircuitFiles, inputs: Tensor, limits: Limits = HEAVY, *, threads: int | None = None
) -> Proof:
    """Prove the output for ``inputs``. The proof has been verified when this returns."""
    call = _paths(files) | {"circuit": str(files.circuit), "pk": str(files.pk), "inputs": encode(inputs)}
    answer = run("ezkl.prove", call, limits, threads=threads)
    value = answer.value
    return Proof(
        inputs, decode(value["outputs"]), bytes.fromhex(value["proof"]), value["seconds"], answer.peak_memory
    )


def verify(
    files: CircuitFiles, inputs: Tensor, outputs: Tensor, proof: bytes, limits: Limits = QUICK
) -> None:
    """Verify a proof as the contract does.

    Raises:
        InvalidProof: it does not verify for these numbers.
    """
    run(
        "ezkl.verify",
        _paths(files) | {"proof": proof.hex(), "instances": encode(inputs) + encode(outputs)},
        limits,
    )


def verifier_source(files: CircuitFiles, limits: Limits = QUICK) -> str:
    """Solidity source of the circuit's own verifier, the same for the same key."""
    source: str = run("ezkl.verifier_source", _paths(files), limits).value
    return source


def reusable_verifier_source(files: CircuitFiles, limits: Limits = QUICK) -> str:
    """Solidity source of the verifier that serves many circuits: it takes the key, ``vka``, too."""
    source: str = run("ezkl.verifier_source", _paths(files) | {"reusable": True}, limits).value
    return source


def vka(files: CircuitFiles, limits: Limits = QUICK) -> tuple[bytes, ...]:
    """The circuit's key as words for the reusable verifier."""
    return tuple(bytes.fromhex(word) for word in run("ezkl.vka", _paths(files), limits).value)


def _paths(files: CircuitFiles) -> dict[str, str]:
    return {"settings": str(files.settings), "srs": str(files.srs), "vk": str(files.vk)}
