"""Hard limits of a child process, as its parent states them and as the child puts them on itself.

Nothing here imports more than the standard library: it runs in the child before anything untrusted is read.
"""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Final

GIB: Final = 1 << 30
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use: wall-clock ``seconds``, ``memory`` (address space) and ``file`` (each file), in
    bytes.
    """

    seconds: float = 600
    memory: int = 8 * GIB
    file: int = 4 * GIB


def apply(memory: int, file: int) -> None:
    """Put the limits on this process, for good. A core dump of a prover would be large and hold its input."""
    for what, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (value, value))
    # Writing past the limit then fails with EFBIG, which can be reported, and does not kill.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux).

    A proof holds the interpreter's lock for its whole length, so nothing in the child could notice by itself.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
