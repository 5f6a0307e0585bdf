"""Trusted setups: what a file is, and that only a known ceremony's counts as public."""

import hashlib
import importlib.util
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from foretell_cli import main
from foretell_relayer.models import folder as folders
from foretell_relayer.models import srs
from foretell_relayer.models.errors import BadSrs, InsecureModel
from foretell_relayer.models.store import ModelStore
from foretell_relayer.prove import circuit
from foretell_relayer.runner import insecure_models, require_secure
from tests.kit import models

K = 10
SIZE = 4 + 128 * 2**K + 256


@pytest.fixture
def file(tmp_path):
    copy = tmp_path / "kzg.srs"
    shutil.copyfile(models.VOLATILITY / folders.SRS, copy)
    return copy


@pytest.fixture
def known(file, monkeypatch):
    """The shipped file, as if a ceremony had made it."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(srs, "PUBLIC", {K: digest})
    return file


def change(file, at, data):
    content = bytearray(file.read_bytes())
    content[at : at + len(data)] = data
    file.write_bytes(content)


def part(file, at, size):
    return file.read_bytes()[at : at + size]


def test_inspect__development_file__is_whole_and_insecure(file):
    found = srs.inspect(file)

    assert (found.k, found.is_public, found.ceremony) == (K, False, srs.INSECURE)
    assert file.stat().st_size == SIZE


def test_inspect__new_file__is_whole(tmp_path):
    circuit.gen_srs(tmp_path / "new.srs", 7)

    assert srs.inspect(tmp_path / "new.srs").k == 7


def test_inspect__hash_expected__must_be_it(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert srs.inspect(file, expected="0x" + digest.upper().removeprefix("0X")).sha256 == digest

    with pytest.raises(BadSrs, match="not the expected"):
        srs.inspect(file, expected="00" * 32)


@pytest.mark.parametrize("size", [0, 3, SIZE - 1, SIZE + 1])
def test_inspect__another_length__is_refused(file, size):
    file.write_bytes(file.read_bytes().ljust(size, b"\0")[:size])

    with pytest.raises(BadSrs, match="truncated"):
        srs.inspect(file)


def test_inspect__k_that_promises_too_much__is_refused(file):
    change(file, 0, (60).to_bytes(4, "little"))

    with pytest.raises(BadSrs, match="truncated"):
        srs.inspect(file)


@pytest.mark.parametrize("at", [4, 4 + 128 * 2**K], ids=["G1", "G2"])
def test_inspect__other_generator__is_refused(file, at):
    change(file, at, b"\5")

    with pytest.raises(BadSrs, match="generators"):
        srs.inspect(file)


@pytest.mark.parametrize("index", [1, 2**K - 1])
def test_inspect__point_that_is_no_power__is_refused(file, index):
    change(file, 4 + 64 * index, part(file, 4 + 64 * 3, 64))

    with pytest.raises(BadSrs, match="not the secret times"):
        srs.inspect(file)


def test_inspect__point_off_the_curve__is_refused(file):
    change(file, 4 + 64, b"\1\2\3")

    with pytest.raises(BadSrs, match="not the secret times"):
        srs.inspect(file)


def test_inspect__secret_of_one__is_refused(file):
    change(file, 4 + 128 * 2**K + 128, part(file, 4 + 128 * 2**K, 128))

    with pytest.raises(BadSrs, match="everybody knows"):
        srs.inspect(file)


def test_public__hashes__are_those_that_ezkl_carries():
    (library,) = Path(importlib.util.find_spec("ezkl").origin).parent.glob("*.so")
    content = library.read_bytes()

    assert not [k for k, digest in srs.PUBLIC.items() if digest.encode() not in content]


def test_public__known_file__counts_and_a_changed_byte_does_not(known):
    assert srs.inspect(known).ceremony == srs.CEREMONY
    assert srs.is_public(known)

    change(known, SIZE - 1, b"\0")
    assert not srs.is_public(known)


def test_folder__publisher_claims_a_ceremony__is_insecure_all_the_same():
    folder = models.volatility()
    claimed = folder.metadata.model_copy(
        update={"srs": folder.metadata.srs.model_copy(update={"ceremony": srs.CEREMONY})}
    )

    from dataclasses import replace

    assert replace(folder, metadata=claimed).insecure


def test_folder__known_setup__is_secure_everywhere(known):
    store = ModelStore([models.VOLATILITY])

    assert insecure_models(store) == []
    require_secure(store, 1, accept_insecure=False)


def test_require_secure__insecure_setup__is_refused_where_things_have_a_worth():
    store = ModelStore([models.VOLATILITY])
    assert insecure_models(store) == ["volatility"]

    require_secure(store, 31337, accept_insecure=False)
    require_secure(store, 1, accept_insecure=True)
    with pytest.raises(InsecureModel, match="no known ceremony"):
        require_secure(store, 1, accept_insecure=False)


def test_show__insecure_setup__says_so():
    told = CliRunner().invoke(main, ["model", "show", str(models.VOLATILITY)])

    assert "INSECURE" in told.output


# ---------------------------------------------------------------------------------------- command line


def test_get__from_a_file__is_copied_where_its_hash_is_known(known, tmp_path):
    out = tmp_path / "out" / "kzg.srs"
    told = CliRunner().invoke(
        main, ["srs", "get", "--logrows", str(K), "--from", str(known), "--out", str(out)]
    )

    assert told.exit_code == 0, told.output
    assert "public: perpetual-powers-of-tau" in told.output
    assert out.read_bytes() == known.read_bytes()


def test_get__from_another_file__is_refused_and_nothing_is_written(file, tmp_path):
    out = tmp_path / "out.srs"
    told = CliRunner().invoke(
        main, ["srs", "get", "--logrows", str(K), "--from", str(file), "--out", str(out)]
    )

    assert told.exit_code == 1
    assert "R-MOD-010" in told.output
    assert not out.exists()


@pytest.mark.parametrize("source", [[], ["--from", "x"]])
def test_get__size_that_nobody_published__is_refused(tmp_path, source):
    told = CliRunner().invoke(main, ["srs", "get", "--logrows", "3", "--out", str(tmp_path / "x"), *source])

    assert told.exit_code == 1
    assert "no known public SRS" in told.output


def test_fetch__no_way_there__says_what_to_do_by_hand(tmp_path, monkeypatch):
    """EZKL asks its own address; a proxy that nobody listens on keeps the question on this machine."""
    from foretell_relayer.prove import sandbox

    real = sandbox.environment
    monkeypatch.setattr(
        sandbox, "environment", lambda *given: real(*given) | {"HTTPS_PROXY": "http://127.0.0.1:9"}
    )
    with pytest.raises(BadSrs, match="could not download") as caught:
        srs.fetch(K, tmp_path / "x.srs")
    assert "by hand" in caught.value.hint
    assert not (tmp_path / "x.srs").exists()


def test_check__file__says_what_it_is(file):
    told = CliRunner().invoke(main, ["srs", "check", str(file)])

    assert "INSECURE" in told.output
    assert hashlib.sha256(file.read_bytes()).hexdigest() in told.output
    assert CliRunner().invoke(main, ["srs", "check", str(file), "--sha256", "ab" * 32]).exit_code == 1
