"""Compare the volatility forecaster with ``arch``'s GARCH(1,1) on the test years.

Each forecast is of the next day's variance from the days before it. GARCH(1,1) with a constant mean is
fitted by maximum likelihood to the training years alone, as the network is, and once more to training and
validation years, of which the network uses the latter to choose its number of steps. Its parameters then
stay fixed, and its variance is updated daily with all returns since 1999. GJR-GARCH, which also knows that
losses weigh more than gains, stands beside it as a harder rival.

Measures, smaller is better:

- ``QLIKE r^2``: mean of ``log v + r^2 / v``, squared daily returns as the proxy of variance;
- ``QLIKE range``: mean of ``p / v - log(p / v) - 1``, with Parkinson's high-low range ``p`` as a less noisy
  proxy, scaled to the squared returns' mean over the test years, since it misses the nights;
- ``RMSE vol`` and ``RMSE var``: against the root of that range, and against squared returns.

Run: ``python -m scripts.evaluate_volatility --write docs/model-volatility.md``
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import arch
import click
import numpy as np
import pandas as pd

from foretell_cli.logging import LogFormat, configure_logging
from foretell_relayer.infer.client import InferenceWorker
from foretell_relayer.models import onnx_file, samples
from foretell_relayer.models.folder import MODEL, CircuitFolder, load_circuit
from foretell_relayer.models.store import CircuitCache
from scripts import train_volatility as training
from scripts.train_volatility import TEST_FROM, VALIDATION_FROM, Array, Split

FOLDER: Final = Path(__file__).resolve().parent.parent / "models" / "volatility"
BEGIN: Final = "<!-- table: python -m scripts.evaluate_volatility --write -->"
END: Final = "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the table."""

    name: str
    qlike: float
    qlike_range: float
    rmse_volatility: float
    rmse_variance: float


@dataclass(frozen=True, slots=True)
class Truth:
    """What came: squared returns and the scaled range, of the days that were forecast."""

    squared: Array
    range: Array

    def score(self, name: str, variance: Array) -> Score:
        """Measure forecasts of variance."""
        ratio = self.range / variance
        return Score(
            name,
            float((np.log(variance) + self.squared / variance).mean()),
            float((ratio - np.log(ratio) - 1).mean()),
            _rmse(np.sqrt(variance), np.sqrt(self.range)),
            _rmse(variance, self.squared),
        )


def _rmse(forecast: Array, truth: Array) -> float:
    return float(np.sqrt(((forecast - truth) ** 2).mean()))


def truth(prices: pd.DataFrame, part: Split) -> Truth:
    """The proxies of the variance on the days of ``part``, in squared percent."""
    days = prices.loc[part.dates]
    ranges = np.log(days["High"].to_numpy(np.float64) / days["Low"].to_numpy(np.float64))
    parkinson: Array = (100 * ranges) ** 2 / (4 * np.log(2))
    squared = part.target**2
    return Truth(squared, parkinson * squared.sum() / parkinson.sum())


def garch(returns: pd.Series, fit_before: str, dates: pd.DatetimeIndex, *, leverage: bool = False) -> Array:
    """One-step forecasts of variance on ``dates``, with parameters from the days before ``fit_before``."""
    model = arch.arch_model(returns, p=1, o=int(leverage), q=1)
    fitted = model.fit(disp="off", last_obs=fit_before)
    volatility = pd.Series(model.fix(fitted.params).conditional_volatility, index=returns.index)
    forecast: Array = volatility.loc[dates].to_numpy(np.float64)
    return forecast * forecast


@contextmanager
def circuit(folder: CircuitFolder) -> Iterator[Callable[[Array], Array]]:
    """The circuit's volatility, from the integers that a contract would get."""
    files = CircuitCache().files(folder)
    scale = folder.manifest.output_scale
    with InferenceWorker() as worker:

        def run(rows: Array) -> Array:
            inputs = samples.quantise_rows(rows, folder.manifest.input_scale)
            outputs = [worker.witness(files.circuit, folder.manifest.admit(q)) for q in inputs]
            return np.array([q / 2**scale for (q,) in outputs])

        yield run


def evaluate(folder: CircuitFolder) -> tuple[list[Score], float]:
    """The table's rows, and the largest distance between circuit and ONNX Runtime in the test years."""
    prices = training.prices()
    returns = training.daily_returns(prices)
    _, _, test = training.splits(returns)
    came = truth(prices, test)
    network = onnx_file.reference(onnx_file.inspect(folder.path / MODEL), test.returns)[:, 0]
    with circuit(folder) as run:
        integers = run(test.returns)
    scores = [
        came.score("this model, as its circuit computes it", integers**2),
        came.score("this model, ONNX Runtime", network**2),
        came.score(
            "GARCH(1,1), fitted to the same training years", garch(returns, VALIDATION_FROM, test.dates)
        ),
        came.score(
            "GARCH(1,1), fitted to training and validation years", garch(returns, TEST_FROM, test.dates)
        ),
        came.score(
            "GJR-GARCH, same training years", garch(returns, VALIDATION_FROM, test.dates, leverage=True)
        ),
    ]
    return scores, float(np.abs(integers - network).max())


def table(scores: Sequence[Score]) -> str:
    """The rows as a Markdown table."""
    lines = ["| forecast | QLIKE r^2 | QLIKE range | RMSE vol | RMSE var |", "|---|---|---|---|---|"]
    for row in scores:
        numbers = (row.qlike, row.qlike_range, row.rmse_volatility, row.rmse_variance)
        lines.append(f"| {row.name} | " + " | ".join(f"{number:.4f}" for number in numbers) + " |")
    return "\n".join(lines)


def keep(document: Path, text: str) -> None:
    """Replace the table in ``document``."""
    before, rest = document.read_text().split(BEGIN)
    _, after = rest.split(END)
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


@click.command()
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=FOLDER, help="Model folder.")
@click.option(
    "--write", type=click.Path(exists=True, path_type=Path), help="Document whose table is replaced."
)
def main(model: Path, write: Path | None) -> None:
    """Compare the volatility model with GARCH(1,1) on the years 2014 to 2018."""
    configure_logging(LogFormat.AUTO)
    scores, distance = evaluate(load_circuit(model))
    text = (
        f"{table(scores)}\n\nLargest distance between circuit and ONNX Runtime on these days: {distance:.5f}."
    )
    click.echo(text)
    if write:
        keep(write, text)


if __name__ == "__main__":
    main()
