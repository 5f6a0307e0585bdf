"""The command line: late loading, suggestions, and errors as messages."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module

import click
import pytest
from click.testing import CliRunner, Result

from foretell_cli import main
from foretell_cli.app import COMMANDS
from foretell_cli.group import ForetellGroup, LazyCommand

HEAVY_MODULES = (
    "ape",
    "eth",
    "ezkl",
    "foretell_evm",
    "foretell_relayer",
    "numpy",
    "onnx",
    "sqlalchemy",
    "web3",
)


class ForeseenError(Exception):
    """Stands for an error class of one of the project's packages."""

    code = "R-TST-001"
    hint = "do it differently"


ForeseenError.__module__ = "foretell_relayer.errors"


def group_with(action: Callable[[], None]) -> click.Group:
    @click.group(cls=ForetellGroup)
    @click.option("--debug", is_flag=True)
    def group(debug: bool) -> None:
        pass

    group.add_command(click.Command("act", callback=action))
    return group


def run(action: Callable[[], None], *arguments: str) -> Result:
    return CliRunner().invoke(group_with(action), [*arguments, "act"])


def raiser(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


def test_help__asked_for__lists_every_command_and_loads_none() -> None:
    script = (
        "import sys; from foretell_cli import main; main(['--help'], standalone_mode=False);"
        f" print('loaded', [name for name in {HEAVY_MODULES} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(f"  {command.name} " in told for command in COMMANDS)
    assert told.rstrip().endswith("loaded []")


def test_version__asked_for__is_the_distributions() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("foretell, version 0.")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_command__loaded__is_a_click_command_of_that_name(command: LazyCommand) -> None:
    loaded = command.load()
    assert loaded.name == command.name
    assert loaded is getattr(import_module(command.target.split(":")[0]), command.target.split(":")[1])


def test_command__misspelt__suggests_the_right_one() -> None:
    result = CliRunner().invoke(main, ["modle"])
    assert result.exit_code == 2
    assert "Did you mean model" in result.output


def test_command__unlike_any__is_refused_without_suggestion() -> None:
    result = CliRunner().invoke(main, ["xyzzy"])
    assert result.exit_code == 2
    assert "No such command 'xyzzy'." in result.output
    assert "Did you mean" not in result.output


def test_lazy_command__package_missing__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="ezkl")

    monkeypatch.setattr("foretell_cli.group.import_module", absent)
    result = CliRunner().invoke(main, ["model"])
    assert result.exit_code == 1
    assert "needs the package ezkl" in result.output
    assert "pip install 'ape-foretell[" in result.output


def test_foreseen_error__raised__prints_code_message_and_hint_once() -> None:
    result = run(raiser(ForeseenError("R-TST-001: no such file")))
    assert result.exit_code == 1
    assert result.output.splitlines() == ["Error R-TST-001: no such file", "Hint: do it differently"]


def test_foreseen_errors__in_a_group__are_all_printed() -> None:
    result = run(
        raiser(ExceptionGroup("tasks", [ForeseenError("one"), ExceptionGroup("", [ForeseenError("two")])]))
    )
    assert result.exit_code == 1
    assert "Error R-TST-001: one" in result.output
    assert "Error R-TST-001: two" in result.output


def test_unforeseen_error__raised__is_one_line_without_traceback() -> None:
    result = run(raiser(ZeroDivisionError("division by zero")))
    assert result.exit_code == 70
    assert "Unexpected error: ZeroDivisionError: division by zero" in result.output
    assert "Traceback" not in result.output


def test_unforeseen_error__with_debug__flies_through() -> None:
    error = ZeroDivisionError("division by zero")
    assert run(raiser(error), "--debug").exception is error


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), click.Abort()])
def test_interrupt__any_command__exits_130_with_one_line(interruption: BaseException) -> None:
    result = run(raiser(interruption))
    assert result.exit_code == 130
    assert result.output.strip() == "Interrupted."


def test_usage_error__in_a_command__keeps_clicks_own_message() -> None:
    result = run(raiser(click.UsageError("wrong way round")))
    assert result.exit_code == 2
    assert "wrong way round" in result.output
