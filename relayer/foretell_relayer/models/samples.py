"""A user's samples: inputs that the model will see, from ``.npz`` or ``.npy`` files, never unpickled."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foretell_relayer.models.errors import BadSamples
from foretell_spec.errors import TensorError
from foretell_spec.tensor import WAD, Tensor, quantise

Array = NDArray[np.float64]

MAX_SAMPLES: Final = 1000
"""Samples that are compared; of more, as many are taken evenly."""

MARGIN: Final = 0.25
"""Share of the samples' range by which the default input domain is wider, at each end."""

MAX_BYTES: Final = 256 << 20
NAMES: Final = ("inputs", "input", "x", "X")
"""Names under which an ``.npz`` file with several arrays is searched, after the model's own."""


def load(path: Path, input_name: str, input_shape: Sequence[int]) -> Array:
    """Samples as ``[n, size]``.

    Args:
        path: an ``.npy`` file, or an ``.npz`` file with one array or with one named as the model's input.
        input_name: the model's name of its input.
        input_shape: the model's shape of it, batch of 1 first.

    Raises:
        BadSamples: the file is damaged, of another shape, or not finite numbers.
    """
    raw = _read(path, input_name)
    if raw.dtype.kind not in "fiu":
        raise BadSamples(f"{path.name}: the samples must be numbers, not {raw.dtype}")
    rows = _rows(raw, input_shape)
    if rows is None:
        wanted = ", ".join(str(n) for n in input_shape[1:] or input_shape)
        raise BadSamples(
            f"{path.name}: the samples have shape {list(raw.shape)}; the model takes [n, {wanted}]"
        )
    values = rows.astype(np.float64)
    if not np.isfinite(values).all():
        raise BadSamples(f"{path.name}: the samples contain NaN or infinity")
    return values


def _read(path: Path, input_name: str) -> NDArray[Any]:
    if not path.is_file():
        raise BadSamples(f"{path}: no such file")
    if path.suffix not in (".npz", ".npy"):
        raise BadSamples(f"{path.name}: the samples must be an .npz or .npy file (numpy.savez, numpy.save)")
    try:
        if _unpacked_bytes(path) > MAX_BYTES:
            raise BadSamples(
                f"{path.name}: the samples have over {MAX_BYTES >> 20} MiB; a few hundred samples are enough"
            )
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else _pick(loaded, path, input_name)
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise BadSamples(
                f"{path.name}: it holds Python objects, which are refused; save plain arrays of numbers"
            ) from None
        raise BadSamples(f"{path.name}: not a file that numpy.savez or numpy.save wrote ({error})") from None


def _unpacked_bytes(path: Path) -> int:
    if path.suffix == ".npy":
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _pick(archive: Any, path: Path, input_name: str) -> NDArray[Any]:
    with archive:
        names = list(archive.files)
        found = [name for name in (input_name, *NAMES) if name in names] or (names if len(names) == 1 else [])
        if not found:
            raise BadSamples(
                f"{path.name}: it holds {', '.join(names) or 'nothing'}; name the samples {input_name!r}"
            )
        array: NDArray[Any] = archive[found[0]]
        return array


def _rows(raw: NDArray[Any], input_shape: Sequence[int]) -> NDArray[Any] | None:
    size = int(np.prod(input_shape))
    shapes = {(size,), tuple(input_shape), tuple(input_shape[1:]) or (size,)}
    if raw.ndim < 2 or len(raw) == 0 or raw.shape[1:] not in shapes:
        return None
    return raw.reshape(len(raw), size)


def domain(rows: Array, chosen: tuple[float, float] | None) -> tuple[float, float]:
    """Bounds of every input element: the chosen ones, or the samples' range with ``MARGIN`` at each end.

    Raises:
        BadSamples: the chosen bounds are no numbers, or a sample is outside.
    """
    low, high = float(rows.min()), float(rows.max())
    if chosen is None:
        margin = MARGIN * max(high - low, abs(high), abs(low), 1e-6)
        return low - margin, high + margin
    if not all(map(math.isfinite, chosen)) or chosen[0] > low or chosen[1] < high:
        raise BadSamples(
            f"the samples lie in {low:g} to {high:g}, "
            f"outside the --input-range of {chosen[0]:g} to {chosen[1]:g}"
        )
    return chosen


def evenly(count: int, limit: int) -> Array:
    """Indices of at most ``limit`` of ``count`` rows, spread evenly."""
    chosen: Any = np.unique(np.linspace(0, count - 1, min(count, limit)).astype(int))
    return chosen  # type: ignore[no-any-return]


def corners(bounds: tuple[float, float], size: int) -> Array:
    """A domain's two extreme corners, the upper one first, and points between them that no sample need be
    near.
    """
    low, high = bounds
    between = np.random.Generator(np.random.PCG64(1)).uniform(low, high, (16, size))
    return np.concatenate([np.full((1, size), high), np.full((1, size), low), between])


def to_wad(value: float) -> int:
    """The WAD number nearest to a float (ties up), exactly."""
    return (Fraction(value) * WAD + Fraction(1, 2)).__floor__()


def quantise_rows(rows: Array, scale: int) -> list[Tensor]:
    """Each row as the chain quantises it.

    Raises:
        BadSamples: a number is out of the range that the chain admits.
    """
    try:
        return [quantise((to_wad(value) for value in row), scale) for row in rows.tolist()]
    except TensorError as error:
        raise BadSamples(f"the samples are out of range: {error}") from None
