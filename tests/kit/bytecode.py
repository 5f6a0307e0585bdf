"""Writing EVM code by hand."""

from typing import Final

from eth.vm import opcode_values as op

Part = int | bytes
"""An opcode, or code as it is."""

_DEPLOYER_SIZE: Final = 10


def push(value: int | bytes, size: int | None = None) -> bytes:
    """The shortest push of a value, or one of ``size`` bytes."""
    if isinstance(value, bytes):
        value, size = int.from_bytes(value, "big"), size or len(value)
    size = (value.bit_length() + 7) // 8 if size is None else size
    return bytes([op.PUSH0 + size]) + value.to_bytes(size, "big")


def assemble(*parts: Part) -> bytes:
    """Code of its parts in order."""
    return b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)


def call(to: bytes, kind: int = op.CALL, *, size: int = 0, out: int = 0, value: int = 0) -> bytes:
    """A call with all gas and the first ``size`` bytes of memory, where ``out`` bytes come back to.

    It leaves on the stack whether it succeeded.
    """
    with_value = [push(value)] if kind in (op.CALL, op.CALLCODE) else []
    return assemble(push(out), op.PUSH0, push(size), op.PUSH0, *with_value, push(to), op.GAS, kind)


def deployment(runtime: bytes) -> bytes:
    """Creation code that deploys a runtime."""
    copy = assemble(push(len(runtime), 2), op.DUP1, push(_DEPLOYER_SIZE, 1), op.PUSH0, op.CODECOPY)
    return copy + assemble(op.PUSH0, op.RETURN) + runtime
