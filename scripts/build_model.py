"""Build ``models/volatility/`` from nothing but this repository: train, export, and add as any user's model
is.

The SRS is kept where there is one, because the keys and the verifier contract depend on it and a new one
is random. With the same SRS every file comes out the same.

Run: ``python -m scripts.build_model``
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import click
import numpy as np
from rich.console import Console

from foretell_cli.logging import LogFormat, configure_logging
from foretell_relayer.models import report
from foretell_relayer.models.add import Added, Options, add
from foretell_relayer.models.folder import SRS
from foretell_relayer.models.samples import evenly
from foretell_relayer.models.search import Step
from scripts import train_volatility as training

NAME: Final = "volatility"
FOLDER: Final = Path(__file__).resolve().parent.parent / "models" / NAME

TOLERANCE: Final = 0.005
"""In percent of the price, as the forecast: a twentieth of the smallest difference in volatility that a fee
sees.
"""

DOMAIN: Final = (-25.0, 25.0)
"""Daily returns in percent; the worst day of the S&P 500 so far was -20.5, on 19 October 1987."""

SAMPLES: Final = 128
"""Windows of the test years that ship with the model."""


def build(target: Path, srs: Path | None, step: Step) -> Added:
    """Make the model folder ``target``; ``srs`` is generated where there is none."""
    options = Options(name=NAME, tolerance=TOLERANCE, domain=DOMAIN, srs=srs)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        onnx, data, kept = Path(scratch) / "model.onnx", Path(scratch) / "samples.npz", Path(scratch) / SRS
        step("training on the S&P 500 of 1999 to 2010")
        training.build(onnx)
        _, _, test = training.splits(training.daily_returns(training.prices()))
        np.savez(data, inputs=test.returns[evenly(len(test.returns), SAMPLES)])
        if srs is not None:
            shutil.copyfile(srs, kept)  # the folder that holds it is about to be replaced
            options = Options(name=NAME, tolerance=TOLERANCE, domain=DOMAIN, srs=kept)
        return add(onnx, data, target, options, step, overwrite=True)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=FOLDER, help="Folder to make.")
@click.option(
    "--new-srs", is_flag=True, help="Generate another SRS: new keys, verifier contract and model id."
)
def main(out: Path, new_srs: bool) -> None:
    """Train the volatility model and build its model folder."""
    configure_logging(LogFormat.AUTO)
    srs = FOLDER / SRS
    with report.progress(Console(stderr=True)) as step:
        added = build(out, srs if srs.exists() and not new_srs else None, step)
    console = Console()
    console.print(report.facts(added.folder))
    console.print(report.figures(added.figures))


if __name__ == "__main__":
    main()
