"""``foretell model``: make, show and check model folders."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from eth_utils import is_address, to_checksum_address
from rich.console import Console
from rich.table import Table

from foretell_spec.addresses import ZERO_ADDRESS
from foretell_spec.divergence import DeterminismClass
from foretell_spec.tensor import MAX_OUTPUTS, MAX_SCALE

if TYPE_CHECKING:
    from foretell_relayer.models.folder import ModelFolder

_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _checked_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _NAME.fullmatch(value):
        raise click.BadParameter("use up to 64 lower-case letters, digits, - and _")
    return value


def _checked_address(_: click.Context, __: click.Parameter, value: str) -> str:
    if not is_address(value):
        raise click.BadParameter("not an address")
    return to_checksum_address(value)


@click.group()
def model() -> None:
    """Make, show and check model folders.

    A folder holds an ONNX file with everything that others need to ask it, run it, prove it and verify its
    proofs.
    """


@model.command()
@click.argument("file", type=_FILE)
@click.option(
    "--data", required=True, type=_FILE, help="Samples of the input: an .npz or .npy file, [n, inputs]."
)
@click.option(
    "--class", "determinism", default="circuit", show_default=True,
    type=click.Choice([each.name.lower() for each in DeterminismClass]),
    help="What the model's one correct output is, and so what can be known of it.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: models/NAME]")
@click.option("--name", callback=_checked_name, help="Name for people.  [default: the file's name]")
@click.option(
    "--tolerance", type=click.FloatRange(min=0, min_open=True),
    help="In units of the output. circuit: largest error against ONNX Runtime; float: largest benign "
    "difference; seeded: by how much a token may miss the best one.  [default: 0.01, 0.0001, 0.001]",
)  # fmt: skip
@click.option(
    "--input-range", nargs=2, type=float, metavar="LOW HIGH",
    help="Bounds of every input number; not for seeded.  "
    "[default: those of the samples and a quarter more]",
)  # fmt: skip
@click.option(
    "--input-scale", type=click.IntRange(0, MAX_SCALE), metavar="BITS",
    help="integer, float, open: bits behind the point of an input.  [default: 0, 18, 18]",
)  # fmt: skip
@click.option(
    "--output-scale", type=click.IntRange(0, MAX_SCALE), metavar="BITS",
    help="integer, float, open: bits behind the point of an output.  [default: 0, 18, 18]",
)  # fmt: skip
@click.option(
    "--tokens", type=click.IntRange(1, MAX_OUTPUTS), help="seeded: tokens to sample in a call.  [default: 1]"
)
@click.option(
    "--publisher", callback=_checked_address, default=ZERO_ADDRESS,
    help="Who alone may register the model and stop it.  [default: anybody registers, nobody stops]",
)  # fmt: skip
@click.option(
    "--challenge-window", type=click.IntRange(1, 2592000), default=3600, show_default=True, metavar="SECONDS",
    help="How long a delivered result can be challenged.",
)  # fmt: skip
@click.option(
    "--proof-window", type=click.IntRange(1, 2592000), default=86400, show_default=True, metavar="SECONDS",
    help="How long a promised or disputed proof may take.",
)  # fmt: skip
@click.option(
    "--srs",
    type=_FILE,
    help="circuit: trusted setup (SRS) to use; `foretell srs get` gets one.  [default: a new, insecure one]",
)
@click.option(
    "--ceremony", default=None, metavar="NAME",
    help="circuit: name of a ceremony that is not known here; the file counts as insecure all the same.",
)  # fmt: skip
@click.option(
    "--max-logrows", type=click.IntRange(7, 22),
    help="circuit: the largest one, as a power of two; each step doubles memory and time.  [default: 17]",
)  # fmt: skip
@click.option(
    "--reusable", is_flag=True, default=None,
    help="circuit: use EZKL's reusable verifier, as is done where the circuit's own would be too large.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace a model that is already in the folder.")
def add(
    file: Path,
    data: Path,
    determinism: str,
    out: Path | None,
    name: str | None,
    replace: bool,
    **given: Any,
) -> None:
    """Make a model folder of an ONNX FILE.

    FILE needs one input of fixed shape with a batch of 1, and one such output: floats, or integers for the
    class integer; of seeded, token numbers and a logit for each token. Samples show what the model will see.

    \b
    circuit   proofs: finds the smallest circuit that agrees with ONNX Runtime, makes its verifier contract
    integer   equality: an integer-only graph, the same bits everywhere
    float     equality within a tolerance: pins this version of ONNX Runtime
    seeded    sampled tokens: the seed is the call's, and each token can be checked
    open      no correct output: says who answered, and no more

    \b
    Examples:
      foretell model add net.onnx --data samples.npz --tolerance 0.05
      foretell model add net.onnx --data samples.npz --class float
    """
    kind = DeterminismClass[determinism.upper()]
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    for option in sorted(_FOREIGN[kind] & set(chosen)):
        raise click.UsageError(f"--{option.replace('_', '-')} says nothing about class {determinism}")
    title = name or _name_of(file)
    target = out or Path("models") / title
    if "input_range" in chosen:
        chosen["domain"] = chosen.pop("input_range")
    if kind is DeterminismClass.CIRCUIT:
        _add_circuit(file, data, target, {"name": title, **chosen}, overwrite=replace)
    else:
        _add_graph(file, data, target, {"name": title, "determinism": kind, **chosen}, overwrite=replace)


_CIRCUIT_OPTIONS: Final = frozenset({"srs", "ceremony", "max_logrows", "reusable"})
_SCALES: Final = frozenset({"input_scale", "output_scale"})
_FOREIGN: Final = {
    DeterminismClass.CIRCUIT: _SCALES | {"tokens"},
    DeterminismClass.INTEGER: _CIRCUIT_OPTIONS | {"tokens", "tolerance"},
    DeterminismClass.FLOAT: _CIRCUIT_OPTIONS | {"tokens"},
    DeterminismClass.SEEDED: _CIRCUIT_OPTIONS | _SCALES | {"input_range"},
    DeterminismClass.OPEN: _CIRCUIT_OPTIONS | {"tokens", "tolerance"},
}
"""Options that have no meaning for a class."""


def _add_circuit(file: Path, data: Path, target: Path, chosen: dict[str, Any], *, overwrite: bool) -> None:
    from foretell_relayer.models import add as adding
    from foretell_relayer.models import report

    if "ceremony" in chosen and "srs" not in chosen:
        raise click.UsageError("--ceremony says where --srs comes from; give both")
    with report.progress(Console(stderr=True)) as step:
        added = adding.add(file, data, target, adding.Options(**chosen), step, overwrite=overwrite)
    _tell(added.folder, report.figures(added.figures), target)
    if added.folder.insecure:
        Console().print(
            "INSECURE: its SRS is of no known ceremony; operators refuse it but on development chains.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _add_graph(file: Path, data: Path, target: Path, chosen: dict[str, Any], *, overwrite: bool) -> None:
    from foretell_relayer.models import add_graph as adding
    from foretell_relayer.models import report

    options = adding.GraphOptions(**chosen)
    with report.progress(Console(stderr=True)) as step:
        added = adding.add_graph(file, data, target, options, step, overwrite=overwrite)
    _tell(added.folder, report.graph_figures(added.figures), target)


def _tell(folder: "ModelFolder", figures: Table, target: Path) -> None:
    from foretell_relayer.models import report

    console = Console()
    console.print(report.facts(folder))
    console.print()
    console.print(figures)
    console.print(f"\nwrote {target}", markup=False, highlight=False)


@model.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
def show(folders: tuple[Path, ...]) -> None:
    """Show the models in FOLDERS, after checking every hash."""
    from foretell_relayer.models import report
    from foretell_relayer.models.folder import load

    console = Console()
    for number, path in enumerate(folders):
        if number:
            console.print()
        console.print(report.facts(load(path)))


@model.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--prove/--no-prove",
    default=True,
    show_default=True,
    help="Of a circuit, also prove a sample and verify the proof.",
)
def check(folder: Path, prove: bool) -> None:
    """Check that FOLDER is whole and that its model works on this machine.

    Of a circuit: sets it up again, compares its key with the manifest, runs the samples against ONNX Runtime,
    and proves. Of other classes: checks graph and runtime, and runs the samples in more than one way.
    """
    from foretell_relayer.models import report
    from foretell_relayer.models.check import check_folder

    console = Console()
    with report.progress(Console(stderr=True)) as step:
        result = check_folder(folder, step, prove=prove)
    proved = (
        "" if result.proving_seconds is None else f", proved and verified in {result.proving_seconds:.2f} s"
    )
    text = (
        f"{result.name} is whole: {result.samples} samples, error {result.error:.3g} of {result.tolerance:g}"
    )
    console.print(text + proved, markup=False, highlight=False, soft_wrap=True)


@model.command()
@click.argument("folder", type=_FOLDER)
def measure(folder: Path) -> None:
    """Measure how far FOLDER's answers differ here when it is run in other ways, and suggest a tolerance.

    Optimisation levels, numbers of threads, ONNX's reference implementation and the circuit stand for the
    machines of other operators; run it on each kind of machine that you have.
    """
    from foretell_relayer.models import report
    from foretell_relayer.models.measure import measure as measure_folder

    console = Console()
    with report.progress(Console(stderr=True)) as step:
        found = measure_folder(folder, step)
    console.print(report.spreads(found))
    console.print()
    console.print(report.verdict(found), markup=False, highlight=False, soft_wrap=True)


def _name_of(file: Path) -> str:
    stem = file.parent.name if file.stem == "model" else file.stem
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:64] or "model"
