"""The store and its cache: derived files are made once, and made again when they are damaged."""

import json
import threading

import pytest

from foretell_relayer.models import folder as folders
from foretell_relayer.models import store as stores
from foretell_relayer.models.errors import BadFolder, UnknownModel
from foretell_relayer.models.store import DERIVED, SUMS, CircuitCache, ModelStore
from foretell_relayer.prove import circuit
from tests.kit import models


@pytest.fixture
def own_cache(tmp_path):
    """A cache that a test may damage."""
    return CircuitCache(tmp_path / "cache")


@pytest.fixture
def builds(monkeypatch):
    """Counts how often a circuit is set up."""
    calls, setup = [], circuit.setup
    monkeypatch.setattr(circuit, "setup", lambda files: (calls.append(files), setup(files)))
    return calls


def test_store__known_model__is_found():
    store = ModelStore([models.VOLATILITY])
    folder = models.volatility()

    assert folder.model_id in store
    assert store.get(folder.model_id).name == "volatility"
    assert [each.model_id for each in store] == [folder.model_id]


def test_store__unknown_model__is_an_error_of_its_own():
    with pytest.raises(UnknownModel, match="R-MOD-006: model 0x0000"):
        ModelStore().get(b"\0" * 32)


def test_files__first_use__are_made_once(own_cache, builds):
    files = own_cache.files(models.volatility())

    assert own_cache.files(models.volatility()) == files
    assert CircuitCache(own_cache.root).files(models.volatility()) == files
    assert len(builds) == 1
    assert files.pk.stat().st_size > 1 << 20


@pytest.mark.parametrize("name", DERIVED)
def test_files__one_damaged__all_are_made_again(own_cache, builds, name):
    files = own_cache.files(models.volatility())
    damaged = files.pk.parent / name
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)

    fresh = CircuitCache(own_cache.root).files(models.volatility())

    assert len(builds) == 2
    assert circuit.prove(fresh, (0,) * 22).outputs == circuit.witness(fresh.circuit, (0,) * 22)


@pytest.mark.parametrize(
    "spoil", [lambda p: p.unlink(), lambda p: p.write_text("{}"), lambda p: p.write_text("[")]
)
def test_files__sums_damaged__are_made_again(own_cache, builds, spoil):
    files = own_cache.files(models.volatility())
    spoil(files.pk.parent / SUMS)

    CircuitCache(own_cache.root).files(models.volatility())

    assert len(builds) == 2


def test_files__removed_while_running__are_made_again(own_cache, builds):
    folder = models.volatility()
    own_cache.files(folder)
    own_cache.forget(folder.model_id)

    assert own_cache.files(folder).pk.exists()
    assert len(builds) == 2


def test_files__other_key_than_stated__is_refused_and_leaves_nothing(own_cache, monkeypatch):
    monkeypatch.setattr(stores, "keccak", lambda _: b"\1" * 32)

    with pytest.raises(BadFolder, match="another verifying key"):
        own_cache.files(models.volatility())

    assert [path.suffix for path in own_cache.root.iterdir()] == [".lock"]


def test_files__made_for_another_ezkl__is_refused(own_cache, monkeypatch):
    monkeypatch.setattr(stores, "EZKL_VERSION", "99.0.0")

    with pytest.raises(BadFolder, match=r"made for EZKL 23\.0\.5, not for 99\.0\.0"):
        own_cache.files(models.volatility())


def test_files__many_threads_and_caches__one_build(tmp_path, builds):
    caches = [CircuitCache(tmp_path), CircuitCache(tmp_path)]
    threads = [threading.Thread(target=caches[n % 2].files, args=(models.volatility(),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(builds) == 1


def test_files__sums__name_every_derived_file(own_cache):
    files = own_cache.files(models.volatility())

    assert set(json.loads((files.pk.parent / SUMS).read_text())) == set(DERIVED)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"FORETELL_CACHE": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/foretell"),
        ({"HOME": "/c"}, "/c/.cache/foretell"),
    ],
)
def test_default_cache__environment__chooses(monkeypatch, variables, expected):
    for name in ("FORETELL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert str(stores.default_cache()) == expected


def test_folder_names__are_those_that_the_docs_state():
    assert {path.name for path in models.VOLATILITY.iterdir()} == {
        folders.MODEL, folders.MANIFEST, folders.SETTINGS, folders.SRS, folders.VERIFIER, folders.SAMPLES
    }  # fmt: skip
