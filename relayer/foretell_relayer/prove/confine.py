"""What a child may touch, put on itself before it reads anything untrusted, for good (Linux).

*Files*, by Landlock (kernel 5.13): the program, the files that it was given, and its own scratch folder; no
home, no keys, no other process. *Network*, by seccomp: no socket can be made. Neither needs a privilege.
Where the kernel lacks one of them the child runs without it, and `foretell doctor` says so.

Nothing here imports more than the standard library. Numbers are those of the kernel's headers
(linux/landlock.h, linux/seccomp.h, linux/audit.h).
"""

import contextlib
import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_VERSION: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ALL_OF_VERSION: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL: Final = (1 << 16) - 1
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_NETWORK: Final = 3  # bind and connect, TCP
_SCOPED: Final = 3  # abstract sockets and signals of others

_PROGRAM: Final = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/urandom",
)  # fmt: skip
_DEVICES: Final = ("/dev/null",)


@dataclass(frozen=True, slots=True)
class Confined:
    """What holds: whether files and network are closed."""

    files: bool
    network: bool


@dataclass(frozen=True, slots=True)
class _Machine:
    """A processor's audit number, and its numbers of the system calls that are refused."""

    audit: int
    calls: tuple[int, ...]


# socket, ptrace, process_vm_readv, process_vm_writev, io_uring_setup (which could open sockets, too)
_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, (41, 101, 310, 311, 425)),
    "aarch64": _Machine(0xC00000B7, (198, 117, 270, 271, 425)),
}
_X32: Final = 0x40000000


def apply(reads: Iterable[str], writes: Iterable[str], *, network: bool) -> Confined:
    """Confine this process and all that it starts.

    Args:
        reads: files and folders that may be read, besides the program's own.
        writes: folders in which anything may be done.
        network: whether sockets may be made.
    """
    if sys.platform != "linux":
        return Confined(files=False, network=False)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return Confined(files=False, network=False)
    files = _close_files(libc, reads, writes, network=network)
    return Confined(files, False if network else _close_network(libc))


# ------------------------------------------------------------------------------------------------- files


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _close_files(libc: ctypes.CDLL, reads: Iterable[str], writes: Iterable[str], *, network: bool) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _VERSION)
    if version < 1:
        return False
    rights = _ALL_OF_VERSION.get(version, _ALL)
    attributes = _Ruleset(rights, 0 if network else _NETWORK, _SCOPED)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return False
    try:
        for path in (*_PROGRAM, *_python(), *reads):
            _allow(libc, ruleset, path, _READ & rights)
        for path in _DEVICES:
            _allow(libc, ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & rights)
        for path in writes:
            _allow(libc, ruleset, path, rights)
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _python() -> Iterator[str]:
    """Where the interpreter and the packages are that it may import."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix)
    yield from (path for path in sys.path if path and Path(path).is_absolute())
    yield str(Path(sys.executable).resolve())


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Add a rule. A path that is not there needs none: nothing else may appear in its place."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = _Beneath(rights if Path(path).is_dir() else rights & _FILE_RIGHTS, handle)
            if libc.syscall(_LANDLOCK_ADD, ruleset, 1, ctypes.byref(rule), 0) != 0:
                raise OSError(ctypes.get_errno(), f"Landlock refused {path}")
        finally:
            os.close(handle)


# ------------------------------------------------------------------------------------------------ network


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _AUDIT_AT = 0, 4
_ALLOWED: Final = 0x7FFF0000
_REFUSED: Final = 0x00050000 | errno.EACCES


def _close_network(libc: ctypes.CDLL) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    instructions = _filter(machine)
    block = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), block)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(machine: _Machine) -> Sequence[_Instruction]:
    """Refuse calls of another kind of processor, and those in the machine's list; allow the rest."""
    count = len(machine.calls)
    tests = [_Instruction(_EQUAL, count - index, 0, number) for index, number in enumerate(machine.calls)]
    return [
        _Instruction(_LOAD, 0, 0, _AUDIT_AT),
        _Instruction(_EQUAL, 0, count + 3, machine.audit),
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
        _Instruction(_AT_LEAST, count + 1, 0, _X32),
        *tests,
        _Instruction(_RETURN, 0, 0, _ALLOWED),
        _Instruction(_RETURN, 0, 0, _REFUSED),
    ]
