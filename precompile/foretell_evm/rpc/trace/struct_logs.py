"""The default tracer: one entry for each step, as geth's and anvil's ``structLogs`` are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth.abc import ComputationAPI
from eth.exceptions import VMError

from foretell_evm.errors import RpcError
from foretell_evm.failures import describe
from foretell_evm.rpc.codec import INVALID_PARAMS, Json, data, parse_flag, word

MAX_STEPS: Final = 500_000
"""Most steps that a trace holds; an entry takes about a kilobyte."""

_NAMES: Final = {"SHA3": "KECCAK256", "DIFFICULTY": "PREVRANDAO"}
"""Where py-evm's name of an instruction is an old one."""


@dataclass(frozen=True, slots=True)
class Options:
    """Which parts of a step are wanted, and how many steps (0: all)."""

    stack: bool = True
    memory: bool = False
    storage: bool = True
    return_data: bool = False
    limit: int = 0

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Options":
        """Read geth's names.

        Raises:
            RpcError: the limit is no number, or a flag is neither true nor false.
        """
        limit = fields.get("limit") or 0
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise RpcError(INVALID_PARAMS, f"limit: not a number of steps: {limit!r}")
        return cls(
            stack=not parse_flag(fields.get("disableStack"), "disableStack"),
            memory=parse_flag(fields.get("enableMemory"), "enableMemory"),
            storage=not parse_flag(fields.get("disableStorage"), "disableStorage"),
            return_data=parse_flag(fields.get("enableReturnData"), "enableReturnData"),
            limit=limit,
        )


class StructLogger:
    """Collects the steps of one execution."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._logs: list[Json] = []
        self._open: list[tuple[Json | None, int]] = []
        self._storage: dict[bytes, dict[str, str]] = {}

    def step_starts(self, computation: ComputationAPI, mnemonic: str) -> None:
        """Note the machine as it is before the instruction."""
        gas = computation.get_gas_remaining()
        # py-evm lets an account without code run a STOP.
        skipped = not len(computation.code) or self._is_full()
        log = None if skipped else self._log(computation, mnemonic, gas)
        if log is not None:
            self._logs.append(log)
        self._open.append((log, gas))

    def _is_full(self) -> bool:
        if len(self._logs) >= MAX_STEPS:
            raise RpcError(-32000, f"the trace has over {MAX_STEPS} steps; ask for fewer with limit")
        return bool(self._options.limit) and len(self._logs) >= self._options.limit

    def _log(self, computation: Any, mnemonic: str, gas: int) -> Json:
        name, options = _NAMES.get(mnemonic, mnemonic), self._options
        log: Json = {
            "pc": computation.code.program_counter - 1,
            "op": name,
            "gas": gas,
            "gasCost": 0,
            "depth": computation.msg.depth + 1,
        }
        stack = computation._stack.values
        if options.stack:
            log["stack"] = [hex(_number(value)) for value in stack]
        if options.memory:
            log["memory"] = _words(bytes(computation._memory._bytes))
        if options.return_data:
            log["returnData"] = data(computation.return_data)
        if options.storage and name in {"SLOAD", "SSTORE"} and stack:
            log["storage"] = self._storage_of(computation, name, stack)
        return log

    def _storage_of(self, computation: ComputationAPI, name: str, stack: list[Any]) -> dict[str, str]:
        """Slots of this account that the execution has read or written so far, this step included."""
        address, slot = computation.msg.storage_address, _number(stack[-1])
        known = self._storage.setdefault(address, {})
        if name == "SSTORE" and len(stack) > 1:
            known[word(slot)] = word(_number(stack[-2]))
        else:
            known[word(slot)] = word(computation.state.get_storage(address, slot))
        return dict(known)

    def child_starts(self, computation: ComputationAPI) -> None:
        """The gas that goes to the child counts as the instruction's cost, whatever comes back."""
        log, gas = self._open[-1]
        if log is not None:
            log["gasCost"] = gas - computation.get_gas_remaining()

    def step_ends(self, computation: ComputationAPI, error: Exception | None) -> None:
        """Note what the instruction cost, and why it failed."""
        log, gas = self._open.pop()
        if log is None:
            return
        if not log["gasCost"]:
            log["gasCost"] = gas - computation.get_gas_remaining()
        if isinstance(error, VMError) and log["op"] != "REVERT":
            log["error"] = describe(error)

    def result(self, gas_used: int, computation: ComputationAPI) -> Json:
        """The whole trace."""
        return {
            "gas": gas_used,
            "failed": computation.is_error,
            "returnValue": bytes(computation.output).hex(),
            "structLogs": self._logs,
        }


def _number(value: int | bytes) -> int:
    return value if isinstance(value, int) else int.from_bytes(value, "big")


def _words(memory: bytes) -> list[str]:
    return [data(memory[index : index + 32]) for index in range(0, len(memory), 32)]
