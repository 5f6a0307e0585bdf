"""An interrupt that lands where Python ignores exceptions still ends the program."""

import subprocess
import sys

PROGRAM = """
import signal, time
from foretell_cli.interrupt import keep_interrupts

class Resource:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
{keep}
try:
    resource = Resource()
    del resource
    time.sleep({seconds})
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def run(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False
    )


def ran(keep: str, seconds: float) -> str:
    return run(PROGRAM.format(keep=keep, seconds=seconds)).stdout.strip()


def test_keep_interrupts__interrupt_in_a_destructor__is_raised_again():
    assert ran("keep_interrupts()", 30) == "interrupted"


def test_keep_interrupts__without_it__python_goes_on():
    assert ran("", 0.1) == "went on"


def test_keep_interrupts__any_other_error_of_a_destructor__is_told_as_before():
    program = """
from foretell_cli.interrupt import keep_interrupts

class Resource:
    def __del__(self):
        raise ValueError("a destructor's own error")
keep_interrupts()
Resource()
"""
    assert "a destructor's own error" in run(program).stderr
