"""Train the volatility forecaster and export it as a byte-reproducible ONNX file.

The model sees the last 22 daily simple returns of an index in percent (newest last, shape ``[1, 22]``) and
forecasts the volatility (standard deviation) of the next day's return, in percent. Data: the daily S&P 500
prices of 1999 to 2018 that the PyPI package ``arch`` ships. Years are split in time, so nothing of a later
window reaches an earlier one: the weights see the training years only, the number of steps is chosen on
the validation years, and nothing is chosen on the test years.

Why it is the same file everywhere: training is full-batch in float64 on one thread from fixed seeds, so
CPUs differ by rounding noise alone (about 1e-12), and the weights are then rounded to multiples of 2**-10,
the grid on which the circuit computes anyway. Returns in percent are of order one; no scaler is fitted at
all.

Run: ``python -m scripts.train_volatility``
"""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import arch.data.sp500
import click
import numpy as np
import onnx
import pandas as pd
import torch
from numpy.typing import NDArray

WINDOW: Final = 22
"""Daily returns that one forecast sees: a month of trading days."""

VALIDATION_FROM: Final = "2011-01-01"
TEST_FROM: Final = "2014-01-01"

MEMBERS: Final = 4
"""Networks whose forecasts are averaged; an average of networks with one hidden layer is again such a
network.
"""

HIDDEN: Final = 2
"""Hidden units of each member."""

DEFAULT_OUT: Final = Path("models/volatility/model.onnx")

STEPS: Final = 500
CHECK_EVERY: Final = 25
LEARNING_RATE: Final = 0.003
WEIGHT_DECAY: Final = 1.0
WEIGHT_GRID: Final = 2.0**-10

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Split:
    """Forecast problems of consecutive years: ``returns`` are ``[n, 22]`` in percent, ``target`` the day
    after.
    """

    name: str
    dates: pd.DatetimeIndex
    returns: Array
    target: Array


def prices() -> pd.DataFrame:
    """Daily open, high, low, close and adjusted close of the S&P 500, 1999 to 2018."""
    return arch.data.sp500.load()


def daily_returns(table: pd.DataFrame) -> pd.Series:
    """Simple daily returns of the adjusted close, in percent."""
    return 100 * table["Adj Close"].pct_change().dropna()


def splits(returns: pd.Series) -> tuple[Split, Split, Split]:
    """Training, validation and test years. A forecast belongs to the year of the day that it forecasts."""
    values = returns.to_numpy(dtype=np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[:-1]
    target, dates = values[WINDOW:], pd.DatetimeIndex(returns.index[WINDOW:])
    bounds = {
        "train": ("1900", VALIDATION_FROM),
        "validation": (VALIDATION_FROM, TEST_FROM),
        "test": (TEST_FROM, "2100"),
    }
    parts = []
    for name, (start, end) in bounds.items():
        chosen = (dates >= pd.Timestamp(start)) & (dates < pd.Timestamp(end))
        parts.append(Split(name, dates[chosen], windows[chosen].copy(), target[chosen]))
    return parts[0], parts[1], parts[2]


class Member(torch.nn.Module):
    """``floor + sum_j out_j * relu(up_j . relu(x) + all_j . x + bias_j)`` with ``floor`` and ``out``
    positive.

    Gains and losses have weights of their own, because falling prices raise volatility more than rising
    ones. Up to the small bias and floor the forecast scales with the returns, so it holds at any level of
    volatility.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        # Start from an average of absolute returns that forgets 10 % a day: |x| = 2 relu(x) - x.
        decay = 0.9 ** torch.arange(WINDOW - 1, -1, -1, dtype=torch.float64)
        absolute = 1.25 * decay / decay.sum()
        start = torch.cat([2 * absolute, -absolute]).repeat(HIDDEN, 1)
        noise = torch.rand((HIDDEN, 2 * WINDOW), generator=draw, dtype=torch.float64) - 0.5
        self.weight = torch.nn.Parameter(start + 0.1 * noise)
        self.bias = torch.nn.Parameter(torch.full((HIDDEN,), 0.02, dtype=torch.float64))
        self.out = torch.nn.Parameter(
            torch.full((HIDDEN,), float(np.log(np.expm1(1 / HIDDEN))), dtype=torch.float64)
        )
        self.floor = torch.nn.Parameter(torch.tensor(-2.0, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        softplus = torch.nn.functional.softplus
        hidden = torch.relu(torch.cat([torch.relu(x), x], dim=1) @ self.weight.T + self.bias)
        return hidden @ softplus(self.out) + softplus(self.floor)


class Forecaster(torch.nn.Module):
    """The exported network: the members side by side, in float32, each weight on the grid."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__()
        softplus, count = torch.nn.functional.softplus, len(members)
        self.first = _linear(torch.cat([m.weight for m in members]), torch.cat([m.bias for m in members]))
        out = torch.cat([softplus(m.out) for m in members]) / count
        floor = torch.stack([softplus(m.floor) for m in members]).mean()
        self.second = _linear(out.reshape(1, -1), floor.reshape(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = torch.cat([torch.relu(x), x], dim=1)
        return self.second(torch.relu(self.first(features)))  # type: ignore[no-any-return]


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Linear:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.round(weight / WEIGHT_GRID) * WEIGHT_GRID + 0.0)
        layer.bias.copy_(torch.round(bias / WEIGHT_GRID) * WEIGHT_GRID + 0.0)
    return layer


def qlike(volatility: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of ``log v + r**2 / v`` with ``v`` the forecast variance: the Gaussian likelihood that GARCH
    maximises.
    """
    variance = volatility**2
    return (torch.log(variance) + target**2 / variance).mean()


def train(fit: Split, validation: Split) -> list[Member]:
    """Train the members together and keep the step with the best QLIKE of their average on the validation
    years.
    """
    members = [Member(seed) for seed in range(MEMBERS)]
    ensemble = torch.nn.ModuleList(members)
    optimiser = torch.optim.AdamW(ensemble.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    x, y = torch.from_numpy(fit.returns), torch.from_numpy(fit.target)
    x_check, y_check = torch.from_numpy(validation.returns), torch.from_numpy(validation.target)
    best, kept = float("inf"), ensemble.state_dict()
    for step in range(1, STEPS + 1):
        optimiser.zero_grad()
        torch.stack([qlike(member(x), y) for member in members]).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % CHECK_EVERY == 0:
            with torch.no_grad():
                score = float(qlike(torch.stack([m(x_check) for m in members]).mean(0), y_check))
            if score < best:
                best, kept = score, {name: value.clone() for name, value in ensemble.state_dict().items()}
    ensemble.load_state_dict(kept)
    return members


def export(model: Forecaster, path: Path) -> None:
    """Write ``model`` as ONNX (opset 17), without a trace of the machine or of torch's version."""
    with warnings.catch_warnings():
        # The TorchScript exporter is the one whose graphs EZKL reads; torch marks it as the older of two.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model.eval(), (torch.zeros(1, WINDOW),), str(path), opset_version=17, dynamo=False,
            input_names=["returns"], output_names=["volatility"],
        )  # fmt: skip
    proto = onnx.load(str(path))
    normalise(proto)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def normalise(proto: Any) -> None:
    """Replace the exporter's names and remove its marks, in place."""
    proto.producer_name, proto.producer_version, proto.doc_string = "foretell", "", ""
    del proto.metadata_props[:]
    graph = proto.graph
    graph.name, graph.doc_string = "volatility", ""
    kept = {value.name: value.name for value in [*graph.input, *graph.output]}
    renamed = {tensor.name: tensor.name.replace("::", "_") for tensor in graph.initializer} | kept
    for index, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type.lower()}_{index}", ""
        del node.metadata_props[:]
        for output in node.output:
            renamed.setdefault(output, f"value_{index}")
    for tensor in graph.initializer:
        tensor.name = renamed[tensor.name]
    for node in graph.node:
        node.input[:] = [renamed[name] for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
    del graph.value_info[:]


def build(path: Path) -> None:
    """Train from nothing and write the ONNX file to ``path``."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    fit, validation, _ = splits(daily_returns(prices()))
    export(Forecaster(train(fit, validation)), path)


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    help="Where to write the ONNX file.",
)
def main(out: Path) -> None:
    """Train the volatility forecaster on S&P 500 returns (1999 to 2010) and export it to ONNX."""
    out.parent.mkdir(parents=True, exist_ok=True)
    build(out)
    click.echo(f"wrote {out} ({out.stat().st_size} bytes)", file=sys.stderr)


if __name__ == "__main__":
    main()
