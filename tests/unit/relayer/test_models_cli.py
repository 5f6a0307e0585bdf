"""``foretell model``: its help, its messages."""

import pytest
from click.testing import CliRunner

from foretell_cli import main
from tests.kit import models


@pytest.fixture
def foretell(monkeypatch, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def test_help__model__names_its_commands(foretell):
    result = foretell("model", "--help")

    assert result.exit_code == 0
    assert all(f"  {name} " in result.output for name in ("add", "check", "show"))


def test_help__add__names_every_option(foretell):
    result = foretell("model", "add", "--help")

    assert result.exit_code == 0
    for option in (
        "--data",
        "--out",
        "--name",
        "--tolerance",
        "--input-range",
        "--publisher",
        "--srs",
        "--replace",
    ):
        assert option in result.output


def test_show__shipped_model__prints_its_facts(foretell):
    result = foretell("model", "show", models.VOLATILITY)

    assert result.exit_code == 0
    assert models.volatility().model_id.hex()[:40] in result.output.replace("\n", "")
    assert "CIRCUIT" in result.output
    assert "development chains only" in result.output


def test_check__shipped_model__is_whole(foretell):
    result = foretell("model", "check", models.VOLATILITY)

    assert result.exit_code == 0, result.output
    assert "volatility is whole: 128 samples" in result.output
    assert "proved and verified" in result.output


def test_show__no_model__says_so(foretell, tmp_path):
    result = foretell("model", "show", tmp_path)

    assert result.exit_code == 1
    assert "Error R-MOD-005" in result.output
    assert "manifest.json: no such file" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "Not A Name"], "use up to 64 lower-case letters"),
        (["--publisher", "0x12"], "not an address"),
        (["--tolerance", "0"], "0.0 is not in the range x>0"),
        (["--tolerance", "-1"], "is not in the range"),
        (["--challenge-window", "0"], "is not in the range"),
        (["--ceremony", "powers"], "--ceremony says where --srs comes from"),
    ],
)
def test_add__bad_option__is_refused_before_any_work(foretell, tmp_path, arguments, message):
    result = foretell("model", "add", tmp_path / "x.onnx", "--data", tmp_path / "x.npz", *arguments)

    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda onnx, data: onnx.write_bytes(onnx.read_bytes()[:40]), "R-MOD-001"),
        (lambda onnx, data: onnx.unlink(), "R-MOD-001"),
        (lambda onnx, data: models.samples(data, (20, 5)), "R-MOD-002"),
        (lambda onnx, data: data.unlink(), "R-MOD-002"),
    ],
)
def test_add__bad_file__is_refused_and_writes_nothing(foretell, tmp_path, spoil, code):
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")
    spoil(onnx, data)

    result = foretell("model", "add", onnx, "--data", data, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert f"Error {code}: " in result.output
    assert not (tmp_path / "out").exists()


def test_add__samples_outside_input_range__is_refused(foretell, tmp_path):
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")

    result = foretell(
        "model", "add", onnx, "--data", data, "--out", tmp_path / "out", "--input-range", "-1", "1"
    )

    assert result.exit_code == 1
    assert "outside the --input-range of -1 to 1" in result.output


def test_add__no_solc__says_what_to_run_before_any_work(foretell, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_SOLC", str(tmp_path))
    onnx, data = models.tiny(tmp_path / "net.onnx"), models.samples(tmp_path / "s.npz")

    result = foretell("model", "add", onnx, "--data", data, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert "Error R-PRV-008: " in result.output
    assert "npm install solc" in result.output
