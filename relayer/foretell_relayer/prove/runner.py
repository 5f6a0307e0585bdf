"""The child's side of a call: read one task, put limits on, do it, answer, leave without clean-up.

Started as ``python -m foretell_relayer.prove.runner PARENT_PID`` by ``sandbox``. The request is one JSON
object on standard input, the answer one JSON object on what was standard output; everything that a library
prints goes to standard error. ``os._exit`` is on purpose: EZKL's threads crash about half of the orderly
exits.
"""

import errno
import importlib
import json
import os
import resource
import sys
import time
from typing import Any, Final, NoReturn

from foretell_relayer.prove import confine, limits

MODULES: Final = {"ezkl": "foretell_relayer.prove.tasks", "onnx": "foretell_relayer.models.onnx_tasks"}
"""Where tasks live. A task's name is ``module.function``; it takes and returns JSON values."""


def main() -> NoReturn:
    """Answer the one request on standard input."""
    limits.die_with(int(sys.argv[1]))
    channel = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin.buffer)
    limits.apply(request["memory"], request["file"])
    confined = confine.apply(request["reads"], request["writes"], network=request["network"])
    reply = answer(request["task"], request["arguments"]) | {"confined": [confined.files, confined.network]}
    with os.fdopen(channel, "wb") as out:
        out.write(json.dumps(reply).encode())
    os._exit(0)


def answer(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Do one task, and say what came of it."""
    begin = time.monotonic()
    try:
        module, name = task.split(".")
        value = getattr(importlib.import_module(MODULES[module]), name)(**arguments)
    except BaseException as error:  # noqa: BLE001  PanicException derives from BaseException
        return {"kind": _kind(error), "error": type(error).__name__, "message": str(error)}
    return {"value": value, "seconds": time.monotonic() - begin, "peak_memory": _peak_memory()}


def _peak_memory() -> int:
    """Most memory that was resident, in bytes. On Linux ``getrusage`` would count the parent's, too."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123  the child imports little
            (line,) = (line for line in file if line.startswith("VmHWM"))
            return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _kind(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC):
        return "file"
    if type(error).__name__ == "PanicException":
        return "panic"
    return getattr(error, "kind", "refused")


if __name__ == "__main__":
    main()
