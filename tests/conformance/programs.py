"""Random EVM programs: mostly statements that do something, now and then noise."""

from collections.abc import Sequence
from random import Random
from typing import Final

from eth.vm import opcode_values as op

from tests.conformance.precompile_inputs import precompile_input
from tests.kit.bytecode import assemble, push

SWAP1: Final = 0x90
DUP6: Final = 0x85
# Jumps are relative: PC tells where they stand.
_FROM_PC_TO_BODY: Final = 6
_FROM_JUMPDEST_TO_PC: Final = 9
_WORDS: Final = (0, 1, 2, 3, 31, 32, 33, 64, 255, 256, 2**31, 2**63, 2**64, 2**255, 2**256 - 2, 2**256 - 1)
_CONTEXT: Final = (
    op.ADDRESS, *range(op.ORIGIN, op.CALLDATALOAD), op.CALLDATASIZE, op.CODESIZE, op.GASPRICE,
    op.RETURNDATASIZE, *range(op.COINBASE, op.BLOBHASH), op.BLOBBASEFEE, op.PC, op.MSIZE, op.GAS,
)  # fmt: skip
_OF_ONE: Final = (op.ISZERO, op.NOT, op.CALLDATALOAD, op.BLOBHASH, op.BLOCKHASH, op.SLOAD, op.TLOAD, op.MLOAD)
_OF_TWO: Final = (
    *range(op.ADD, op.ADDMOD), op.EXP, op.SIGNEXTEND, *range(op.LT, op.ISZERO), op.AND, op.OR, op.XOR,
    op.BYTE, op.SHL, op.SHR, op.SAR,
)  # fmt: skip
_OF_ADDRESS: Final = (op.BALANCE, op.EXTCODESIZE, op.EXTCODEHASH)
_CALLS: Final = (op.CALL, op.CALL, op.CALL, op.CALLCODE, op.DELEGATECALL, op.STATICCALL)
_FIRST_SLOTS: Final = 4
_NOISE: Final = 0.03
_DEEPEST: Final = 2


class Programs:
    """Programs that call ``addresses`` and each other."""

    def __init__(self, random: Random, addresses: Sequence[bytes], precompiles: Sequence[int]) -> None:
        self._random, self._addresses, self._precompiles = random, addresses, precompiles
        self._statements = (
            (self._compute, 6), (self._store, 4), (self._transient, 2), (self._memory, 2), (self._log, 2),
            (self._call, 5), (self._precompile, 2), (self._create, 1), (self._branch, 2), (self._loop, 1),
        )  # fmt: skip

    def program(self, depth: int = 0) -> bytes:
        """Runtime or creation code."""
        random = self._random
        if random.random() < _NOISE:
            return random.randbytes(random.randint(0, 60))
        body = b"".join(self._statement(depth) for _ in range(random.randint(0, 7)))
        return body + self._end(depth)

    def _statement(self, depth: int) -> bytes:
        random = self._random
        if random.random() < _NOISE:
            return random.randbytes(random.randint(1, 3))
        made, weights = zip(*self._statements, strict=True)
        statement = random.choices(made, weights)[0]
        return bytes(statement(depth))

    def word(self) -> int:
        """A number: an edge, a small one or any."""
        random = self._random
        return random.choice((random.choice(_WORDS), random.randint(0, 300), random.getrandbits(256)))

    def _small(self) -> bytes:
        return push(self._random.choice((0, 0, 1, 4, 20, 31, 32, 33, 64, 100, 1000)))

    def _value(self) -> bytes:
        """Code that leaves one word."""
        random, kind = self._random, self._random.randrange(6)
        if kind < 2:
            return push(self.word())
        if kind == 2:
            return bytes([random.choice(_CONTEXT)])
        if kind == 3:
            return push(random.randrange(40)) + bytes([random.choice(_OF_ONE)])
        if kind == 4:
            return self._address() + bytes([random.choice(_OF_ADDRESS)])
        return push(self.word()) + push(self.word()) + bytes([random.choice(_OF_TWO)])

    def _address(self) -> bytes:
        return push(self._random.choice(self._addresses))

    def _slot(self) -> bytes:
        return push(self._random.randrange(_FIRST_SLOTS))

    def _sink(self) -> bytes:
        """Code that takes one word to where it shows."""
        return self._random.choice((
            self._slot() + bytes([op.SSTORE]), push(0) + bytes([op.MSTORE]), bytes([op.POP]),
            assemble(op.PUSH0, op.MSTORE, push(32), op.PUSH0, op.LOG0),
        ))  # fmt: skip

    def _compute(self, depth: int) -> bytes:
        if self._random.random() < 0.15:
            kind = self._random.choice((op.ADDMOD, op.MULMOD))
            return self._value() + self._value() + self._value() + bytes([kind]) + self._sink()
        return self._value() + self._sink()

    def _store(self, depth: int) -> bytes:
        value = self._random.choice((push(0), push(0), push(1), push(2), self._value()))
        return value + self._slot() + bytes([op.SSTORE])

    def _transient(self, depth: int) -> bytes:
        if self._random.random() < 0.5:
            return self._value() + self._slot() + bytes([op.TSTORE])
        return self._slot() + bytes([op.TLOAD]) + self._sink()

    def _memory(self, depth: int) -> bytes:
        size, source, to = self._small(), self._small(), self._small()
        kind = self._random.choice((
            op.MCOPY, op.CALLDATACOPY, op.CODECOPY, op.RETURNDATACOPY, op.EXTCODECOPY, op.SHA3, op.MSTORE8,
        ))  # fmt: skip
        if kind == op.EXTCODECOPY:
            return size + source + to + self._address() + bytes([kind])
        if kind == op.SHA3:
            return size + to + bytes([kind]) + self._sink()
        if kind == op.MSTORE8:
            return self._value() + to + bytes([kind])
        return size + source + to + bytes([kind])

    def _log(self, depth: int) -> bytes:
        topics = self._random.randint(0, 4)
        return (
            b"".join(self._value() for _ in range(topics))
            + self._small()
            + self._small()
            + bytes([op.LOG0 + topics])
        )

    def _gas(self) -> bytes:
        return self._random.choice(
            (bytes([op.GAS]), bytes([op.GAS]), push(2300), push(30_000), push(self.word()))
        )

    def _call(self, depth: int) -> bytes:
        return self._call_of(self._address(), self._small())

    def _call_of(self, to: bytes, size: bytes) -> bytes:
        random = self._random
        kind = random.choice(_CALLS)
        value = b""
        if kind in (op.CALL, op.CALLCODE):
            value = push(random.choice((0, 0, 0, 1, 5, 10**30)))
        code = self._small() + self._small() + size + push(0) + value + to + self._gas() + bytes([kind])
        after = random.choice((b"", bytes([op.RETURNDATASIZE]) + self._slot() + bytes([op.SSTORE])))
        copy = assemble(op.RETURNDATASIZE, op.PUSH0, op.PUSH0, op.RETURNDATACOPY)
        return code + self._sink() + after + random.choice((b"", copy))

    def _fill(self, data: bytes) -> bytes:
        """Code that lays bytes into memory from 0 on."""
        chunks = [data[start : start + 32] for start in range(0, len(data), 32)]
        return b"".join(
            push(chunk.ljust(32, b"\0")) + push(32 * index) + bytes([op.MSTORE])
            for index, chunk in enumerate(chunks)
        )

    def _precompile(self, depth: int) -> bytes:
        number = self._random.choice(self._precompiles)
        data = precompile_input(self._random, number)[:400]
        return self._fill(data) + self._call_of(push(number), push(len(data)))

    def _create(self, depth: int) -> bytes:
        if depth >= _DEEPEST:
            return b""
        random = self._random
        code = self.program(depth + 1)
        salt = [push(random.randrange(2))] if random.random() < 0.5 else []
        kind = op.CREATE2 if salt else op.CREATE
        size = push(random.choice((len(code), len(code), len(code), 0, 50_000)))
        made = assemble(self._fill(code), *salt, size, op.PUSH0, push(random.choice((0, 0, 1))), kind)
        if random.random() < 0.5:
            return made + self._sink()
        call = assemble(op.PUSH0, op.PUSH0, op.PUSH0, op.PUSH0, op.PUSH0, DUP6, op.GAS, op.CALL)
        return made + call + self._sink() + bytes([op.POP])

    def _branch(self, depth: int) -> bytes:
        body = self._statement(depth)
        jump = assemble(self._value(), op.PC, push(len(body) + _FROM_PC_TO_BODY, 2), op.ADD, op.JUMPI)
        return jump + body + bytes([op.JUMPDEST])

    def _loop(self, depth: int) -> bytes:
        body = assemble(self._value(), self._sink())
        less_one = assemble(push(1), SWAP1, op.SUB, op.DUP1)
        back = assemble(push(len(body) + _FROM_JUMPDEST_TO_PC, 2), op.PC, op.SUB, op.JUMPI, op.POP)
        return push(self._random.randint(1, 6)) + bytes([op.JUMPDEST]) + body + less_one + back

    def _end(self, depth: int) -> bytes:
        random = self._random
        give = assemble(self._small(), self._small())
        if depth:
            runtime = self.program(depth + 1)
            deploy = assemble(self._fill(runtime), push(len(runtime)), op.PUSH0, op.RETURN)
            large = assemble(push(0x6001), op.PUSH0, op.RETURN)
            designator = assemble(push(0xEF), op.PUSH0, op.MSTORE8, push(1), op.PUSH0, op.RETURN)
            return random.choice((deploy, deploy, deploy, large, designator, give + bytes([op.REVERT]), b""))
        return random.choice((
            b"", bytes([op.STOP]), give + bytes([op.RETURN]), give + bytes([op.RETURN]),
            give + bytes([op.REVERT]), b"\xfe", self._address() + bytes([op.SELFDESTRUCT]),
        ))  # fmt: skip
