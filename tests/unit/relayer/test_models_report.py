"""What people see while a model is made."""

import io

import pytest
from rich.console import Console

from foretell_relayer.models import report
from tests.kit import models


@pytest.fixture
def shown():
    return io.StringIO()


def test_progress__no_terminal__one_line_a_step(shown):
    with report.progress(Console(file=shown)) as step:
        step("reading [x]")
        step("writing")

    assert shown.getvalue() == "- reading [x]\n- writing\n"


def test_progress__terminal__shows_step_and_clears_up(shown):
    with report.progress(Console(file=shown, force_terminal=True, width=80)) as step:
        step("reading [x]")

    assert "reading [x]" in shown.getvalue()
    assert shown.getvalue().rstrip("\n").endswith("\x1b[2K")


def test_facts__model__are_readable_at_80_columns(shown):
    Console(file=shown, width=80).print(report.facts(models.volatility()))

    lines = shown.getvalue().splitlines()
    assert lines[0].startswith("model volatility")
    assert max(len(line) for line in lines) <= 80
