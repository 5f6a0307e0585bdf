from dataclasses import replace

import pytest

from foretell_spec.divergence import DeterminismClass
from foretell_spec.errors import ManifestError, TensorError
from foretell_spec.manifest import MAX_WINDOW, Manifest, canonical_json, metadata_hash
from foretell_spec.tensor import QUANTISED_LIMIT, WAD
from scripts.build_vectors import example_manifest


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("publisher", "0x00000000000000000000000000000000f07e7e11"),
        ("publisher", "nobody"),
        ("metadata_hash", b"\x11" * 31),
        ("verifier_code_hash", b""),
        ("verifier_code_hash", b"\0" * 32),
        ("vka_digest", b"\0" * 33),
        ("enclave_measurement", b"\0"),
        ("input_size", 0),
        ("input_size", 257),
        ("output_size", 0),
        ("output_size", 65),
        ("input_scale", -1),
        ("input_scale", 19),
        ("output_scale", 19),
        ("input_min", -QUANTISED_LIMIT),
        ("input_min", 2049),
        ("input_max", QUANTISED_LIMIT),
        ("tolerance", -1),
        ("tolerance", 2**256),
        ("challenge_window", 0),
        ("challenge_window", MAX_WINDOW + 1),
        ("proof_window", 0),
        ("proof_window", MAX_WINDOW + 1),
    ],
)
def test_manifest__bad_field__names_it(field, value):
    with pytest.raises(ManifestError, match=field):
        replace(example_manifest(), **{field: value})


OTHER_CLASSES = [c for c in DeterminismClass if c is not DeterminismClass.CIRCUIT]


@pytest.mark.parametrize("determinism", OTHER_CLASSES)
def test_manifest__other_classes__have_no_verifier(determinism):
    whole = {"determinism": determinism, "input_scale": 0, "output_scale": 0, "tolerance": WAD}
    assert replace(example_manifest(), verifier_code_hash=b"\0" * 32, **whole)
    with pytest.raises(ManifestError, match="verifier_code_hash: belongs to class CIRCUIT alone"):
        replace(example_manifest(), **whole)


def test_manifest__float__tolerates_at_least_one_step():
    fields = {"determinism": DeterminismClass.FLOAT, "verifier_code_hash": b"\0" * 32, "output_scale": 9}
    assert replace(example_manifest(), tolerance=WAD >> 9, **fields)
    with pytest.raises(ManifestError, match="tolerance: must be at least one step"):
        replace(example_manifest(), tolerance=(WAD >> 9) - 1, **fields)


@pytest.mark.parametrize("scales", [(1, 0), (0, 1)])
def test_manifest__seeded__has_whole_tokens(scales):
    fields = {"determinism": DeterminismClass.SEEDED, "verifier_code_hash": b"\0" * 32}
    with pytest.raises(ManifestError, match="tokens are whole numbers"):
        replace(example_manifest(), input_scale=scales[0], output_scale=scales[1], **fields)


def test_from_words__round_trip():
    assert Manifest.from_words(example_manifest().words()) == example_manifest()


def test_from_words__unknown_class__raises():
    with pytest.raises(ManifestError, match="determinism"):
        Manifest.from_words((9, *example_manifest().words()[1:]))


def test_from_words__wrong_count__raises():
    with pytest.raises(ManifestError, match="15 fields"):
        Manifest.from_words(example_manifest().words()[:-1])


def test_admit__bounds_are_inclusive():
    assert example_manifest().admit((-1024, 2048)) == (-1024, 2048)


@pytest.mark.parametrize("inputs", [(), (0,), (0, 0, 0), (-1025, 0), (0, 2049)])
def test_admit__wrong_size_or_outside__raises(inputs):
    with pytest.raises(TensorError):
        example_manifest().admit(inputs)


def test_quantise__scales_then_admits():
    assert example_manifest().quantise((WAD, -WAD)) == (256, -256)
    with pytest.raises(TensorError, match="domain"):
        example_manifest().quantise((9 * WAD, 0))


def test_canonical_json__key_order_does_not_matter():
    assert metadata_hash({"b": 1, "a": "\u00e9"}) == metadata_hash({"a": "\u00e9", "b": 1})
    assert canonical_json({"b": [1, 2], "a": "\u00e9"}) == '{"a":"\u00e9","b":[1,2]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_canonical_json__no_such_text__raises(value):
    with pytest.raises(ManifestError):
        canonical_json({"a": value})
