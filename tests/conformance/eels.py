"""EELS in its own virtual environment, as a child process."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.conformance.cases import Case, Outcome

_WORKER = Path(__file__).with_name("eels_worker.py")


class Eels:
    """Runs one case at a time; between :meth:`start` and :meth:`finish` this process is free for others."""

    def __init__(self, python: Path) -> None:
        """``python``: the interpreter that has ``ethereum-execution``."""
        self._process = subprocess.Popen(
            [python, _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def run(self, case: Case) -> Outcome:
        """What becomes of the case."""
        self.start(case)
        return self.finish()

    def start(self, case: Case) -> None:
        """Give it a case."""
        assert self._process.stdin is not None
        print(json.dumps(case.to_json()), file=self._process.stdin, flush=True)

    def finish(self) -> Outcome:
        """What became of the case.

        Raises:
            RuntimeError: the child died; what it said is on standard error.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("EELS died of the case; its own message is above")
        return Outcome.from_json(json.loads(line))
