"""Samples: what is read, and what every unusable file is told."""

import numpy as np
import pytest

from foretell_relayer.models import samples
from foretell_relayer.models.errors import BadSamples
from foretell_spec.tensor import WAD

ROWS = np.arange(12.0).reshape(4, 3)
SHAPE = (1, 3)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "arrays", [{"x": ROWS}, {"inputs": ROWS}, {"whatever": ROWS}, {"x": ROWS, "y": ROWS + 1}]
)
def test_load__npz__finds_the_samples(tmp_path, arrays):
    rows = samples.load(saved(tmp_path / "s.npz", **arrays), "x", SHAPE)

    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize("shape", [(4, 3), (4, 1, 3)])
@pytest.mark.parametrize("kind", ["float32", "float64", "int32"])
def test_load__npy_of_any_layout__is_flattened(tmp_path, shape, kind):
    np.save(tmp_path / "s.npy", ROWS.reshape(shape).astype(kind))

    rows = samples.load(tmp_path / "s.npy", "x", SHAPE)

    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ROWS.reshape(3, 4), r"have shape \[3, 4\]; the model takes \[n, 3\]"),
        (ROWS.ravel(), r"have shape \[12\]"),
        (ROWS[:0], r"have shape \[0, 3\]"),
        (np.where(ROWS == 5, np.nan, ROWS), "contain NaN or infinity"),
        (np.where(ROWS == 5, np.inf, ROWS), "contain NaN or infinity"),
        (ROWS.astype(complex), "must be numbers, not complex128"),
        (ROWS.astype(str), "must be numbers"),
        (ROWS.astype(object), "Python objects, which are refused"),
    ],
)
def test_load__unusable_array__says_why(tmp_path, array, message):
    with pytest.raises(BadSamples, match=message) as caught:
        samples.load(saved(tmp_path / "s.npz", x=array), "x", SHAPE)

    assert str(caught.value).startswith("R-MOD-002: s.npz: ")


def test_load__pickled_npy__is_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.save(tmp_path / "s.npy", np.array([Bomb()], dtype=object), allow_pickle=True)

    with pytest.raises(BadSamples, match="Python objects"):
        samples.load(tmp_path / "s.npy", "x", SHAPE)

    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"\x93NUMPY\x01\x00"])
def test_load__junk__is_refused(tmp_path, suffix, content):
    path = tmp_path / f"s{suffix}"
    path.write_bytes(content)

    with pytest.raises(BadSamples, match="not a file that numpy"):
        samples.load(path, "x", SHAPE)


def test_load__truncated_npz__is_refused(tmp_path):
    path = saved(tmp_path / "s.npz", x=ROWS)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(BadSamples):
        samples.load(path, "x", SHAPE)


def test_load__several_arrays_none_named__says_the_name(tmp_path):
    with pytest.raises(BadSamples, match="it holds a, b; name the samples 'x'"):
        samples.load(saved(tmp_path / "s.npz", a=ROWS, b=ROWS), "x", SHAPE)


def test_load__unpacks_to_too_much__is_refused_before(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "MAX_BYTES", 100_000)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((10_000, 3)))
    assert path.stat().st_size < 10_000

    with pytest.raises(BadSamples, match="a few hundred samples are enough"):
        samples.load(path, "x", SHAPE)


@pytest.mark.parametrize("name", ["absent.npz", "samples.csv"])
def test_load__absent_or_other_kind__is_refused(tmp_path, name):
    (tmp_path / "samples.csv").write_text("1,2,3")

    with pytest.raises(BadSamples, match=r"no such file|\.npz or \.npy"):
        samples.load(tmp_path / name, "x", SHAPE)


@pytest.mark.parametrize(
    ("value", "wad"), [(0.0, 0), (1.5, 3 * WAD // 2), (-0.25, -WAD // 4), (2.0**-60, 1), (1e10, 10**28)]
)
def test_to_wad__float__is_nearest(value, wad):
    assert samples.to_wad(value) == wad


def test_quantise_rows__out_of_range__is_refused():
    with pytest.raises(BadSamples, match="out of range"):
        samples.quantise_rows(np.array([[1e40]]), 10)


def test_quantise_rows__halves__round_up():
    assert samples.quantise_rows(np.array([[0.5, -0.5, 0.25, 1.0]]), 1) == [(1, -1, 1, 2)]
