"""Child processes: what they may use, what reaches them, and what every way to fail becomes."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from foretell_relayer.prove import circuit, sandbox
from foretell_relayer.prove.circuit import CircuitFiles, RunArgs
from foretell_relayer.prove.confine import Confined
from foretell_relayer.prove.errors import (
    ChildCrashed,
    ChildTimedOut,
    EzklPanicked,
    EzklRefused,
    OutOfMemory,
    OutputTooLarge,
)
from foretell_relayer.prove.limits import GIB, Limits
from tests.kit import models

LONG_LOGROWS = 18
"""An SRS of this size takes minutes: whatever is stopped here was stopped and did not end by itself."""

SLOW_PROGRAM = """
from pathlib import Path
from foretell_relayer.prove import circuit
print("started", flush=True)
circuit.gen_srs(Path({path!r}), {logrows})
"""


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def test_run__known_task__gives_value_time_and_memory():
    answer = sandbox.run("ezkl.version", {})

    assert answer.value == circuit.EZKL_VERSION
    assert 0 < answer.seconds < 30
    assert (1 << 20) < answer.peak_memory < GIB


def test_run__any_task__stands_inside_walls():
    assert sandbox.run("ezkl.version", {}).confined == Confined(files=True, network=True)


def test_run__over_time__stops_child_and_says_so(tmp_path):
    with pytest.raises(ChildTimedOut, match=r"R-PRV-004: ezkl.gen_srs did not end within 0.5 s"):
        circuit.gen_srs(tmp_path / "srs", LONG_LOGROWS, Limits(seconds=0.5))

    assert not children()


def test_run__over_memory__is_out_of_memory(tmp_path):
    with pytest.raises(OutOfMemory, match=r"R-PRV-005: .* needs more than 400 MiB"):
        circuit.gen_srs(tmp_path / "srs", 24, Limits(seconds=60, memory=400 << 20))


def test_run__file_over_limit__is_output_too_large(tmp_path):
    with pytest.raises(OutputTooLarge, match="R-PRV-007"):
        circuit.gen_srs(tmp_path / "srs", 10, Limits(seconds=60, file=10_000))


def test_run__child_killed__is_crash_that_names_signal(tmp_path):
    def kill_it():
        child = wait_for(children).pop()
        time.sleep(0.3)
        child.kill()

    killer = threading.Thread(target=kill_it)
    killer.start()
    with pytest.raises(ChildCrashed, match="SIGKILL") as caught:
        circuit.gen_srs(tmp_path / "srs", LONG_LOGROWS)
    killer.join()

    assert caught.value.retry


def test_run__panic__is_typed_error(tiny_circuit: CircuitFiles, tmp_path):
    other = CircuitFiles.in_folder(tmp_path, tmp_path)
    onnx = models.layer(tmp_path / "relu.onnx", "Relu")
    circuit.gen_settings(onnx, other.settings, RunArgs(7, 7, 9, 128, 3))
    circuit.compile_circuit(onnx, other)
    circuit.gen_srs(other.srs, 9)
    circuit.setup(other)

    with pytest.raises(EzklPanicked, match=r"R-PRV-002: .* made for another circuit"):
        circuit.prove(replace(tiny_circuit, pk=other.pk), (128, -64, 32))


def test_run__ezkl_error__repeats_reason(tmp_path):
    with pytest.raises(EzklRefused, match="No such file"):
        circuit.witness(tmp_path / "absent", (1, 2, 3))


def test_environment__secrets_of_parent__do_not_reach_child(monkeypatch, tmp_path):
    monkeypatch.setenv("FORETELL_KEY", "canary-4711")
    with sandbox.start(["/usr/bin/env"], sandbox.environment(str(tmp_path)), cwd=str(tmp_path)) as child:
        out, _ = sandbox.talk(child, b"", 10, "env")

    assert b"HOME=" in out
    assert b"canary" not in out
    assert b"FORETELL" not in out


def program(tmp_path: Path) -> "subprocess.Popen[str]":
    text = textwrap.dedent(SLOW_PROGRAM).format(path=str(tmp_path / "srs"), logrows=LONG_LOGROWS)
    return subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def busy_child(parent: "subprocess.Popen[str]") -> psutil.Process:
    """The child of ``parent`` once it works: then EZKL has the interpreter's lock."""
    found = wait_for(lambda: psutil.Process(parent.pid).children())
    return wait_for(lambda: found[0] if found[0].cpu_times().user > 0.5 else None)


def test_ctrl_c__while_child_works__ends_both_at_once(tmp_path):
    parent = program(tmp_path)
    child = busy_child(parent)

    parent.send_signal(signal.SIGINT)
    # The proof itself would take minutes.
    _, err = parent.communicate(timeout=10)

    assert "KeyboardInterrupt" in err
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_parent_killed__while_child_works__child_ends_too(tmp_path):
    parent = program(tmp_path)
    child = busy_child(parent)

    parent.kill()
    parent.communicate(timeout=10)

    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_run__scratch_folder__is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    sandbox.run("ezkl.version", {})

    assert list(tmp_path.iterdir()) == []
