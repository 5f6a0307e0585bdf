"""What a child cannot do. Each attempt runs in a process that confined itself; each works without that."""

import subprocess
import sys
from pathlib import Path

import pytest

from foretell_relayer.prove import confine
from foretell_relayer.prove.sandbox import PACKAGE_ROOT

ATTEMPT = """
import sys
sys.path.insert(0, {root!r})
from foretell_relayer.prove import confine
if {confined}:
    found = confine.apply([{readable!r}], [{writable!r}], network={network})
    assert found.files, "this kernel has no Landlock"
try:
    {attempt}
except OSError as error:
    print("refused", error.errno)
else:
    print("done")
"""


@pytest.fixture
def places(tmp_path):
    for name in ("readable", "secret"):
        (tmp_path / name).write_text(name)
    (tmp_path / "writable").mkdir()
    return tmp_path


def attempt(places: Path, code: str, *, confined: bool = True, network: bool = False) -> str:
    text = ATTEMPT.format(
        root=str(PACKAGE_ROOT),
        confined=confined,
        readable=str(places / "readable"),
        writable=str(places / "writable"),
        network=network,
        attempt=code.replace("HERE", str(places)),
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


FORBIDDEN = {
    "read a file": "open('HERE/secret').read()",
    "list a folder": "__import__('os').listdir('HERE')",
    "write beside": "open('HERE/new', 'w')",
    "write what it may read": "open('HERE/readable', 'a')",
    "remove a file": "__import__('os').unlink('HERE/secret')",
    "read the parent's environment": "open(f'/proc/{__import__(\"os\").getppid()}/environ').read(1)",
    "a TCP socket": "__import__('socket').socket()",
    "a UDP socket": "__import__('socket').socket(type=__import__('socket').SOCK_DGRAM)",
    "a local socket": "__import__('socket').socket(__import__('socket').AF_UNIX)",
}


@pytest.mark.parametrize("what", list(FORBIDDEN))
def test_confined__attempt__is_refused_and_works_otherwise(places, what):
    assert attempt(places, FORBIDDEN[what]) == "refused"
    assert attempt(places, FORBIDDEN[what], confined=False) == "done"


def test_confined__its_children__are_confined_too(places):
    code = "__import__('subprocess').run(['/bin/cat', 'HERE/secret'], capture_output=True, check=True)"

    assert attempt(places, code, confined=False) == "done"
    with pytest.raises(AssertionError, match="non-zero exit"):
        attempt(places, code)


@pytest.mark.parametrize(
    "code",
    [
        "open('HERE/readable').read()",
        "open('HERE/writable/new', 'w').write('x')",
        "__import__('json').dumps(__import__('decimal').Decimal is None)",
        "__import__('socket').socketpair()",
        "open('/dev/null', 'w').write('x')",
    ],
)
def test_confined__what_it_needs__works(places, code):
    assert attempt(places, code) == "done"


def test_network__wanted__is_open_and_files_are_not(places):
    assert attempt(places, FORBIDDEN["a TCP socket"], network=True) == "done"
    assert attempt(places, FORBIDDEN["read a file"], network=True) == "refused"


def test_filter__each_call_and_machine__ends_in_the_right_answer():
    """The program, run by hand over what the kernel would give it."""
    for machine in confine._MACHINES.values():
        program = confine._filter(machine)
        for number in machine.calls:
            assert _decide(program, machine.audit, number) == confine._REFUSED
            assert _decide(program, machine.audit ^ 1, number) == confine._REFUSED
        assert _decide(program, machine.audit, 0) == confine._ALLOWED
        assert _decide(program, machine.audit, confine._X32) == confine._REFUSED
        assert _decide(program, machine.audit ^ 1, 0) == confine._REFUSED


def _decide(program, audit, number):
    at, value = 0, 0
    while True:
        each = program[at]
        if each.code == confine._LOAD:
            value = audit if each.k == confine._AUDIT_AT else number
        elif each.code == confine._EQUAL:
            at += each.yes if value == each.k else each.no
        elif each.code == confine._AT_LEAST:
            at += each.yes if value >= each.k else each.no
        else:
            return each.k
        at += 1
