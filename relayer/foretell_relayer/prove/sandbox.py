"""The parent's side of a call in a child process.

A child gets a clean environment (no variable of ours reaches it, so no secret does), a process group of
its own (Ctrl-C in the terminal reaches the parent, which then ends the whole group), an empty scratch
folder as its home, the limits of ``limits``, and the walls of ``confine``. Whatever happens to it becomes
one of the errors of ``errors``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import structlog

import foretell_relayer
from foretell_relayer.prove.confine import Confined
from foretell_relayer.prove.errors import (
    ChildCrashed,
    ChildTimedOut,
    EzklPanicked,
    EzklRefused,
    InvalidProof,
    OutOfMemory,
    OutputTooLarge,
    ProveError,
    WrongWitness,
)
from foretell_relayer.prove.limits import Limits

log = structlog.get_logger(__name__)

PACKAGE_ROOT: Final = Path(foretell_relayer.__file__).resolve().parent.parent
MESSAGE_LIMIT: Final = 600
"""Characters of a child's message that an error repeats: enough to read, no flood in a log."""

_KINDS: Final[dict[str, type[ProveError]]] = {
    "refused": EzklRefused,
    "panic": EzklPanicked,
    "memory": OutOfMemory,
    "file": OutputTooLarge,
    "invalid": InvalidProof,
    "witness": WrongWitness,
}
_MEMORY_MARKS: Final = (
    "memory allocation of",
    "MemoryError",
    "Cannot allocate memory",
    "failed to map segment",
)
_FULL_MARKS: Final = ("File too large", "No space left on device", "os error 27", "os error 28")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child gave back: the ``value``, its wall-clock ``seconds``, ``peak_memory`` in bytes, and which
    walls stood around it, where it was asked.
    """

    value: Any
    seconds: float
    peak_memory: int
    confined: Confined | None = None


def run(
    task: str,
    arguments: Mapping[str, Any],
    limits: Limits | None = None,
    *,
    threads: int | None = None,
    writes: Iterable[Path] = (),
    network: bool = False,
) -> Answer:
    """Do ``task`` (``module.function``, see ``runner.MODULES``) in a child process and wait for it.

    The child may read the files that its arguments name and the program itself, and write to its scratch
    folder.

    Args:
        task: name of the task.
        arguments: its arguments, JSON values; paths must be absolute.
        limits: what the child may use.
        threads: threads that EZKL may use; all cores by default.
        writes: further folders that it may write to.
        network: whether it may open sockets.

    Raises:
        ProveError: the leaf says what went wrong.
    """
    limits = limits or Limits()
    request = {"task": task, "arguments": dict(arguments), "memory": limits.memory, "file": limits.file}
    request |= {"reads": named_files(arguments), "network": network}
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        request["writes"] = [scratch, *map(str, writes)]
        command = [sys.executable, "-m", "foretell_relayer.prove.runner", str(os.getpid())]
        with start(command, environment(scratch, threads), cwd=scratch) as child:
            out, err = talk(child, json.dumps(request).encode(), limits.seconds, task)
        answer = _read(task, child.returncode, out, err, limits)
    log.debug("child_done", task=task, seconds=round(answer.seconds, 3), peak_memory=answer.peak_memory)
    return answer


def named_files(arguments: Mapping[str, Any]) -> list[str]:
    """The files that a task's arguments name and that are there."""
    texts = [value for value in arguments.values() if isinstance(value, str) and value.startswith("/")]
    return [text for text in texts if Path(text).is_file()]


def environment(home: str, threads: int | None = None) -> dict[str, str]:
    """The whole environment of a child."""
    variables = {
        "PATH": os.defpath,
        "HOME": home,
        "TMPDIR": home,
        "XDG_DATA_HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PACKAGE_ROOT),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "4",
    }
    return variables | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})


@contextlib.contextmanager
def start(
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    cwd: str,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own, with pipes. However the block is left, the whole group has ended."""
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        list(command),
        env=dict(variables),
        cwd=cwd,
        stdin=pipe,
        stdout=pipe,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        stop(child)


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Kill the child's group and collect it. Safe to call twice."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def talk(child: "subprocess.Popen[bytes]", data: bytes, seconds: float, what: str) -> tuple[bytes, bytes]:
    """Send ``data``, wait for the end, and return what the child wrote to standard output and standard error.

    Raises:
        ChildTimedOut: it did not end within ``seconds``.
    """
    try:
        return child.communicate(data, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ChildTimedOut(
            f"{what} did not end within {seconds:g} s; allow it more time or use a smaller model"
        ) from None


def _read(task: str, status: int, out: bytes, err: bytes, limits: Limits) -> Answer:
    try:
        answer = json.loads(out)
    except ValueError:
        raise died(task, status, err, limits) from None
    return read(task, answer, limits)


def read(task: str, answer: Mapping[str, Any], limits: Limits) -> Answer:
    """Turn the runner's reply into an answer, or raise the error that it tells of."""
    if "value" in answer:
        walls = Confined(*answer["confined"]) if "confined" in answer else None
        return Answer(answer["value"], answer["seconds"], answer["peak_memory"], walls)
    message = " ".join(str(answer["message"]).split())[:MESSAGE_LIMIT]
    if any(mark in message for mark in _FULL_MARKS):
        raise OutputTooLarge(f"{task}: {message}; free space on the disk or raise the limit on file size")
    if answer["kind"] == "memory" or any(mark in message for mark in _MEMORY_MARKS):
        raise _out_of_memory(task, limits)
    if answer["kind"] == "panic":
        message = f"EZKL panicked ({message}); the file is malformed or was made for another circuit"
    raise _KINDS[answer["kind"]](f"{task}: {message}")


def died(task: str, status: int, err: bytes, limits: Limits) -> ProveError:
    """The error for a child that ended without an answer."""
    tail = err[-MESSAGE_LIMIT:].decode(errors="replace").strip()
    if any(mark in tail for mark in _MEMORY_MARKS):
        return _out_of_memory(task, limits)
    how = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
    return ChildCrashed(f"{task}: the child process {how} without an answer" + (f": {tail}" if tail else ""))


def _out_of_memory(task: str, limits: Limits) -> OutOfMemory:
    return OutOfMemory(
        f"{task} needs more than {limits.memory >> 20} MiB; raise its memory limit or use a smaller model"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
