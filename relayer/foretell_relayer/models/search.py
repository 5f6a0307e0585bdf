"""The choice of a circuit's parameters: the cheapest ones that hold the model and keep to its tolerance.

Three questions, one after the other, each answered by running the circuit without keys:

1. *Scale.* The fewest bits at which the circuit agrees with ONNX Runtime on the samples.
2. *Width.* The fewest bits in which every value inside the circuit can be written, over samples, corners
   of the input domain and random points of it, and ``SPARE_BITS`` more.
3. *Digits.* How to split that width into digits (``decomp_base ** decomp_legs``), so that the tables are
   as short as possible and the circuit still is one block of columns: a second block would cost more gas
   than it saves time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from foretell_relayer.models.errors import Inaccurate, NoCircuit
from foretell_relayer.models.samples import Array, evenly, quantise_rows
from foretell_relayer.prove.circuit import RunArgs, Trial, try_parameters
from foretell_relayer.prove.errors import EzklPanicked, EzklRefused
from foretell_spec.tensor import MAX_SCALE, Tensor

Step = Callable[[str], None]
"""Told what is being done, for whoever watches."""

MIN_SCALE: Final = 4
MAX_SEARCH_SCALE: Final = 16
SPARE_BITS: Final = 1
FIRST_LOOK: Final = 48
"""Samples that a scale is tried on before all of them."""

RANDOM_POINTS: Final = 16
BLINDING_ROWS: Final = 16
MIN_LOGROWS: Final = 7
_BASE_BITS: Final = range(7, 15)
_LEGS: Final = (2, 3, 4, 5)
_ROOMY: Final = RunArgs(
    input_scale=0,
    param_scale=0,
    logrows=20,
    decomp_base=1 << 14,
    decomp_legs=4,
    lookup_range=(-(1 << 18), 1 << 18),
)
"""Room for anything that could be proved at all; too large to prove with."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched for: ``samples`` and ONNX Runtime's ``expected`` outputs, the ``domain`` of each input
    element, the largest admitted absolute error ``tolerance``, and the largest circuit."""

    onnx: Path
    samples: Array
    expected: Array
    domain: tuple[float, float]
    tolerance: float
    max_logrows: int


def search(problem: Problem, step: Step) -> RunArgs:
    """Choose the parameters.

    Raises:
        BadSamples: samples out of range.
        Inaccurate: no scale keeps to the tolerance.
        NoCircuit: EZKL does not support the model, or it is too large.
    """
    scale = _find_scale(problem, step)
    step("finding the range of values inside the circuit")
    points = _probe(problem, scale)
    bits, lookup = _find_width(problem.onnx, scale, points)
    step("choosing digits and rows")
    return _find_digits(
        problem, replace(_ROOMY, input_scale=scale, param_scale=scale, lookup_range=lookup), bits
    )


def output_scale(settings: Any) -> int:
    """Bits of the output's scale."""
    return int(settings["model_output_scales"][0])


def error(outputs: Sequence[Tensor], scale: int, expected: Array) -> float:
    """Largest absolute distance between quantised outputs and floats."""
    values = np.array([[q / 2**scale for q in row] for row in outputs])
    return float(np.abs(values - expected).max())


def _find_scale(problem: Problem, step: Step) -> int:
    first, best = evenly(len(problem.samples), FIRST_LOOK), float("inf")
    for scale in range(MIN_SCALE, MAX_SEARCH_SCALE + 1):
        step(f"comparing circuit and ONNX Runtime at {scale} bits")
        found = _error_at(problem, scale, first)
        if found is None:
            break
        if found <= problem.tolerance:
            found = _error_at(problem, scale, evenly(len(problem.samples), len(problem.samples)))
            if found is not None and found <= problem.tolerance:
                return scale
        best = min(best, found if found is not None else best)
    what = (
        f"the least error found is {best:.3g}" if best < float("inf") else "its values overflow the circuit"
    )
    raise Inaccurate(f"no circuit keeps to the tolerance of {problem.tolerance:g} on the samples: {what}")


def _error_at(problem: Problem, scale: int, chosen: Any) -> float | None:
    """Error of the circuit of this scale on the chosen samples; ``None`` where the output's scale is over the
    limit.
    """
    arguments = replace(_ROOMY, input_scale=scale, param_scale=scale)
    trial = _try(problem.onnx, arguments, quantise_rows(problem.samples[chosen], scale))
    if output_scale(trial.settings) > MAX_SCALE:
        return None
    if not trial.fit:
        return float("inf")
    return error(trial.outputs, output_scale(trial.settings), problem.expected[chosen])


def _try(onnx: Path, arguments: RunArgs, batch: Sequence[Tensor]) -> Trial:
    try:
        return try_parameters(onnx, arguments, batch)
    except (EzklRefused, EzklPanicked) as refusal:
        raise NoCircuit(
            f"EZKL cannot turn this model into a circuit; most likely it does not support an operator "
            f"({refusal.message})"
        ) from None


def _probe(problem: Problem, scale: int) -> list[Tensor]:
    """Points at which values inside the circuit are likely to be largest: samples, corners, random corners
    and points.
    """
    low, high = problem.domain
    size = problem.samples.shape[1]
    draw = np.random.Generator(np.random.PCG64(0))
    alternating = np.where(np.arange(size) % 2 == 0, low, high)
    rows = [
        problem.samples[evenly(len(problem.samples), RANDOM_POINTS)],
        np.array([np.full(size, low), np.full(size, high), alternating, low + high - alternating]),
        np.where(draw.random((RANDOM_POINTS, size)) < 0.5, low, high),
        draw.uniform(low, high, (RANDOM_POINTS, size)),
    ]
    return quantise_rows(np.concatenate(rows), scale)


def _find_width(onnx: Path, scale: int, points: Sequence[Tensor]) -> tuple[int, tuple[int, int]]:
    """Least bits that hold every value, and the range of table look-ups, both with room to spare."""
    widths = sorted({base * legs for base in _BASE_BITS for legs in _LEGS})
    scales = replace(_ROOMY, input_scale=scale, param_scale=scale)
    roomy = _try(onnx, scales, points)
    if not roomy.fit:
        raise NoCircuit(
            "values inside the circuit overflow on inputs of the domain; give a smaller --input-range"
        )
    low, high = 0, len(widths) - 1
    while low < high:
        middle = (low + high) // 2
        base, legs = next(_splits(widths[middle]))
        fits = _try(onnx, replace(scales, decomp_base=1 << base, decomp_legs=legs), points).fit
        low, high = (low, middle) if fits else (middle + 1, high)
    lookup = (
        (2 * min(roomy.lookup[0], -1), 2 * max(roomy.lookup[1], 1))
        if roomy.settings["required_lookups"]
        else (-2, 2)
    )
    return widths[low] + SPARE_BITS, lookup


def _splits(bits: int) -> Iterator[tuple[int, int]]:
    """Ways to write ``bits`` as digits, (bits of the base, digits), at least that many bits, fewest digits
    first.
    """
    for legs in _LEGS:
        base = max(-(-bits // legs), _BASE_BITS.start)
        if base in _BASE_BITS:
            yield base, legs


def _find_digits(problem: Problem, arguments: RunArgs, bits: int) -> RunArgs:
    choices = []
    for base, legs in _splits(bits):
        candidate = replace(arguments, decomp_base=1 << base, decomp_legs=legs)
        settings = _try(problem.onnx, candidate, []).settings
        choices.append(
            (_logrows(settings, candidate), legs, replace(candidate, logrows=_logrows(settings, candidate)))
        )
    if not choices:
        raise NoCircuit(f"values inside the circuit need {bits} bits; scale the model's inputs down")
    logrows, _, best = min(choices, key=lambda choice: choice[:2])
    if logrows > problem.max_logrows:
        raise NoCircuit(
            f"the circuit needs 2**{logrows} rows, over the limit of 2**{problem.max_logrows}; "
            "use a smaller model, or raise --max-logrows and have patience"
        )
    return best


def _logrows(settings: Any, arguments: RunArgs) -> int:
    """Least rows, as a power of two, for one block of columns and one column per table."""
    rows = max(int(settings["num_rows"]), int(settings["total_const_size"]), arguments.decomp_base)
    if settings["required_lookups"]:
        rows = max(rows, arguments.lookup_range[1] - arguments.lookup_range[0])
    return max((rows + BLINDING_ROWS - 1).bit_length(), MIN_LOGROWS)
