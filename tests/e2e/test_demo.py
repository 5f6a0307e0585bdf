"""The demo as somebody runs it: a process of its own, to the end or to Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.kit.models import samples, tiny

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


def demo(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_demo__ships_with_a_story(tmp_path):
    picture = tmp_path / "story.svg"
    process = demo("--out", picture)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    in_order = [
        "on a PROVEN forecast alone",
        "PROVEN",
        "runs no model",
        "on a SIGNED forecast",
        "posts a proof",
        "FINAL",
        "Mallory",
        "fee of 0.050 %",
        "challenges",
        "posts a proof",
        "is slashed 0.950 ether",
        "made whole",
        "What each answer was worth",
    ]
    place = 0
    for said in in_order:
        place = told.find(said, place)
        assert place >= 0, f"{said!r} is missing, or too early, in:\n{told}"
    assert "is slashed" in picture.read_text()
    assert (tmp_path / "relay.log").is_file()


def test_demo__with_a_model_of_ones_own(tmp_path):
    model, data = tiny(tmp_path / "tiny.onnx"), samples(tmp_path / "samples.npz")
    process = demo("--model", model, "--data", data, "--out", tmp_path / "story.svg")
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert "made whole: gets 1.000 ether" in told


@pytest.mark.parametrize(
    "reached", [None, "1. A swap", "waits outside blocks", "2. A swap", "stand behind it", "3. An operator"]
)
def test_demo__interrupted__says_so_and_leaves_nothing_running(tmp_path, reached):
    process = demo("--out", tmp_path / "story.svg")
    if reached is None:
        time.sleep(1.5)  # while the chain starts
    elif not any(reached in line for line in process.stdout):
        pytest.fail(f"the demo ended before {reached!r}")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    # Within an exec() of an import, Python ends by the signal itself; a shell shows 130 for both.
    assert process.returncode in (130, -signal.SIGINT), told
    assert "Interrupted" in told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive
