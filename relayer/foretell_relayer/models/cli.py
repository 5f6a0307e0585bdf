"""``foretell model``: make, show and check model folders."""

import re
from pathlib import Path
from typing import Any, Final

import click
from eth_utils import is_address, to_checksum_address
from rich.console import Console

from foretell_spec.addresses import ZERO_ADDRESS

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
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make.  [default: models/NAME]")
@click.option("--name", callback=_checked_name, help="Name for people.  [default: the file's name]")
@click.option(
    "--tolerance", type=click.FloatRange(min=0, min_open=True), default=0.01, show_default=True,
    help="Largest error admitted against ONNX Runtime, in units of the output.",
)  # fmt: skip
@click.option(
    "--input-range", nargs=2, type=float, metavar="LOW HIGH",
    help="Bounds of every input number.  [default: those of the samples and a quarter more]",
)  # fmt: skip
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
@click.option("--srs", type=_FILE, help="Structured reference string to use.  [default: a new one, insecure]")
@click.option(
    "--ceremony", default=None, metavar="NAME",
    help="Where --srs comes from; without it the file counts as insecure.",
)  # fmt: skip
@click.option(
    "--max-logrows", type=click.IntRange(7, 22), default=17, show_default=True,
    help="Largest circuit, as a power of two; each step doubles memory and time.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace a model that is already in the folder.")
def add(file: Path, data: Path, out: Path | None, name: str | None, replace: bool, **given: Any) -> None:
    """Make a model folder of an ONNX FILE.

    Chooses the smallest circuit that agrees with ONNX Runtime on the samples within the tolerance,
    compiles its verifier contract, proves once, and prints what it costs. FILE needs one float input of
    fixed shape with a batch of 1, and one such output.

    \b
    Example:
      foretell model add net.onnx --data samples.npz --tolerance 0.05
    """
    from foretell_relayer.models import add as adding
    from foretell_relayer.models import report
    from foretell_relayer.models.folder import INSECURE_CEREMONY

    if given["ceremony"] and not given["srs"]:
        raise click.UsageError("--ceremony says where --srs comes from; give both")
    chosen = name or _name_of(file)
    options = adding.Options(
        name=chosen,
        domain=given.pop("input_range"),
        ceremony=given.pop("ceremony") or INSECURE_CEREMONY,
        **given,
    )
    target = out or Path("models") / chosen
    with report.progress(Console(stderr=True)) as step:
        added = adding.add(file, data, target, options, step, overwrite=replace)
    console = Console()
    console.print(report.facts(added.folder))
    console.print()
    console.print(report.figures(added.figures))
    console.print(f"\nwrote {target}", markup=False, highlight=False)
    if added.folder.insecure:
        console.print(
            "Its SRS was made on one machine: good for development chains, refused by operators elsewhere.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


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
    "--prove/--no-prove", default=True, show_default=True, help="Also prove a sample and verify the proof."
)
def check(folder: Path, prove: bool) -> None:
    """Check that FOLDER is whole and that its circuit works on this machine.

    Sets the circuit up again, compares its key with the manifest, runs the samples against ONNX Runtime,
    and proves.
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


def _name_of(file: Path) -> str:
    stem = file.parent.name if file.stem == "model" else file.stem
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:64] or "model"
