"""The side of whoever needs answers: starts the process, talks to it, and starts another when it dies."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

import structlog

from foretell_relayer.prove import sandbox
from foretell_relayer.prove.circuit import decode, encode
from foretell_relayer.prove.errors import ChildCrashed, ChildTimedOut, EzklPanicked, OutOfMemory, ProveError
from foretell_relayer.prove.limits import GIB, Limits
from foretell_spec.tensor import Tensor

log = structlog.get_logger(__name__)

WORKER: Final = Limits(seconds=30, memory=4 * GIB, file=1 << 20)
"""``seconds`` holds for each answer. Neither a witness nor a session writes a file."""

_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class _File:
    """A file as the kernel knows it: one that is written anew under the same name is another."""

    name: str
    inode: int


class InferenceWorker:
    """One process that computes witnesses and runs ONNX graphs. Safe to share among threads, which it serves
    one after another.

    It starts with the first question, may read the files that questions named, and starts anew when one names
    another. A process that dies is replaced, and the question it died on asked
    once more: whoever killed it (an operator, the kernel short of memory) was hardly after that question.
    """

    def __init__(self, limits: Limits = WORKER) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._process = contextlib.ExitStack()
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._reads: frozenset[_File] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process's id, while there is one."""
        return self._child.pid if self._child else None

    def witness(self, circuit: Path, inputs: Tensor) -> Tensor:
        """Output of the compiled ``circuit`` for quantised ``inputs``.

        Raises:
            EzklRefused: the circuit cannot hold these inputs, or its file is damaged.
            ProveError: the process could not answer; the leaf says why.
        """
        found = self._answer("ezkl.witness", {"circuit": str(circuit), "inputs": encode(inputs)})
        return decode(found["outputs"])

    def run(self, graph: Path, graph_hash: bytes, values: Sequence[float]) -> Sequence[float]:
        """Output of an ONNX ``graph``, in its own numbers: integers of an integer graph stay integers.

        Raises:
            EzklRefused: the file's hash is another one, or ONNX Runtime cannot run it on these values.
            ProveError: the process could not answer; the leaf says why.
        """
        arguments = {"path": str(graph), "onnx_hash": graph_hash.hex(), "values": list(values)}
        outputs: Sequence[float] = self._answer("onnx.answer", arguments)
        return outputs

    def _answer(self, task: str, arguments: Mapping[str, Any]) -> Any:
        with self._lock:
            try:
                return self._ask(task, arguments).value
            except ChildCrashed as error:
                log.warning("inference_worker_restarted", code=error.code, why=error.message)
                return self._ask(task, arguments).value

    def close(self) -> None:
        """End the process. A later question starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._process.close()
        self._child = None

    def _ask(self, task: str, arguments: Mapping[str, Any]) -> sandbox.Answer:
        self._open_files(arguments)
        child = self._child or self._start()
        line = json.dumps({"task": task, "arguments": arguments}).encode() + b"\n"
        try:
            reply = self._exchange(child, line, task)
            return sandbox.read(task, reply, self._limits)
        except (EzklPanicked, OutOfMemory, ChildTimedOut, ChildCrashed):
            self._end()
            raise
        except ProveError:
            raise  # the question was refused; the process is as good as before
        except BaseException:
            self._end()  # interrupted: an answer to the old question must not meet the next one
            raise

    def _open_files(self, arguments: Mapping[str, Any]) -> None:
        """Let the process read what a question names: one that runs already cannot be given more."""
        needed = frozenset(_File(name, Path(name).stat().st_ino) for name in sandbox.named_files(arguments))
        if not needed <= self._reads:
            self._end()
            names = {each.name for each in needed}
            self._reads = needed | {each for each in self._reads if each.name not in names}

    def _start(self) -> "subprocess.Popen[bytes]":
        scratch = self._process.enter_context(tempfile.TemporaryDirectory(prefix="foretell-"))
        self._log = self._process.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  the stack closes it
        limits = [str(self._limits.memory), str(self._limits.file)]
        reads = sorted(each.name for each in self._reads)
        command = [sys.executable, "-m", "foretell_relayer.infer.worker", *limits, *reads]
        started = sandbox.start(command, sandbox.environment(scratch), cwd=scratch, stderr=self._log)
        self._child = self._process.enter_context(started)
        log.debug("inference_worker_started", pid=self._child.pid)
        return self._child

    def _exchange(self, child: "subprocess.Popen[bytes]", line: bytes, task: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + self._limits.seconds
        try:
            child.stdin.write(line)  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            data = self._read_line(child, deadline, task)
        except BrokenPipeError:
            data = b""
        if not data.endswith(b"\n"):
            raise self._died(child, task)
        reply: Mapping[str, Any] = json.loads(data)
        return reply

    def _read_line(self, child: "subprocess.Popen[bytes]", deadline: float, task: str) -> bytes:
        pipe, data = cast("IO[bytes]", child.stdout), b""
        while not data.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise ChildTimedOut(f"{task} gave no answer within {self._limits.seconds:g} s")
            part = os.read(pipe.fileno(), _CHUNK)
            if not part:
                break
            data += part
        return data

    def _died(self, child: "subprocess.Popen[bytes]", task: str) -> ProveError:
        status = child.wait()
        err = b""
        if self._log is not None:
            self._log.seek(0)
            err = self._log.read()[-sandbox.MESSAGE_LIMIT :]
        return sandbox.died(task, status, err, self._limits)
