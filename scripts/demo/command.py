"""The command of ``make demo``: three questions to a model, what each answer was worth, and a picture of it.

Without arguments it asks the volatility model that ships with the project, for the swap fee of a pool. With
``--model FILE --data SAMPLES`` it makes a circuit of that ONNX file first, and a neutral contract asks it.
"""

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click
import structlog
from rich.console import Console

from foretell_relayer.models import add as adding
from foretell_relayer.models import report
from scripts.demo import picture, story
from scripts.demo.consumers import Asker, FeePool
from scripts.demo.stage import Stage
from scripts.demo.timeline import Timeline

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "models" / "volatility"
PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--model", type=_FILE, help="ONNX file of yours: one float input of fixed shape, batch of 1.")
@click.option("--data", type=_FILE, help="Samples of its input: an .npz or .npy file, [n, inputs].")
@click.option(
    "--tolerance", type=float, default=0.01, show_default=True, help="Largest error of the circuit."
)
@click.option(
    "--out", type=_FILE, default=Path("out/demo.svg"), show_default=True, help="The picture to write."
)
def demo(model: Path | None, data: Path | None, tolerance: float, out: Path) -> None:
    """Tell what three answers of a model were worth."""
    if (model is None) != (data is None):
        raise click.UsageError(
            "--model and --data go together: give both (make demo MODEL=... DATA=...), or neither"
        )
    # What goes wrong is told at the end; what goes right is the story.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    with tempfile.TemporaryDirectory(prefix="foretell-demo-") as scratch:
        folder = Path(scratch)
        # Circuits and proofs are made anew: what is told is what it takes.
        os.environ["FORETELL_CACHE"] = str(folder / "cache")
        source = (
            SHIPPED
            if model is None or data is None
            else _add(model, data, tolerance, folder / "model", console)
        )
        try:
            _play(source, folder, out, console)
        finally:
            _keep_log(folder, out.parent)


def _add(model: Path, data: Path, tolerance: float, folder: Path, console: Console) -> Path:
    console.print(f"[bold]Making a circuit of {model}[/]")
    options = adding.Options(name=model.stem, tolerance=tolerance)
    with report.progress(console) as step:
        added = adding.add(model, data, folder, options, step)
    console.print(report.figures(added.figures))
    return folder


def _play(source: Path, folder: Path, out: Path, console: Console) -> None:
    timeline = Timeline(console)
    with console.status("starting a chain, an operator and a relayer ..."):
        stage = Stage(source, folder)
    with stage:
        consumer_type = FeePool if source == SHIPPED else Asker
        console.print(
            f"[bold]{consumer_type.title}[/]: model {stage.model.name}, 0x{stage.model.model_id.hex()}"
        )
        with console.status("deploying the contract, starting the relayer ..."):
            consumer = consumer_type(stage)
            stage.start_relayer()
        story.tell(stage, consumer, timeline)
    console.print()
    console.print(timeline.summary())
    picture.write(timeline, consumer_type.title, out)
    console.print(f"\nA picture of it: {out}", soft_wrap=True)


def _keep_log(folder: Path, target: Path) -> None:
    """Save the relayer's log where somebody who looks for a cause finds it."""
    log = folder / "relay.log"
    if log.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, target / log.name)
