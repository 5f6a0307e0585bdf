"""A small chain for contract tests: pyrevm and eth-abi, so that a call takes about a millisecond."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from eth_abi import decode, encode
from eth_utils import collapse_if_tuple, keccak, to_checksum_address
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

CHAIN_ID = 31337
GENESIS_TIME = 1_700_000_000
GAS_LIMIT = 60_000_000
RICH = 10**40
_REVERT = re.compile(r"Revert \{ gas_used: (\d+), output: (0x[0-9a-f]*) \}")
_ERROR_STRING = keccak(text="Error(string)")[:4]


class RevertedError(Exception):
    """A call reverted or halted; ``reason`` is its string, ``data`` the raw revert data."""

    def __init__(self, data: bytes, note: str = "") -> None:
        self.data = data
        self.reason = decode(["string"], data[4:])[0] if data[:4] == _ERROR_STRING else note
        super().__init__(self.reason or data.hex() or "no data")


@dataclass(frozen=True)
class Event:
    """A decoded log."""

    name: str
    address: str
    args: SimpleNamespace


@dataclass(frozen=True)
class Result:
    """Outcome of a transaction."""

    value: Any
    events: list[Event]
    gas_used: int

    def event(self, name: str) -> SimpleNamespace:
        """Arguments of the only event of this name."""
        found = [event.args for event in self.events if event.name == name]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} events {name} among {[event.name for event in self.events]}")
        return found[0]

    def names(self) -> list[str]:
        """Names of all events in order."""
        return [event.name for event in self.events]


def _type_of(parameter: dict[str, Any]) -> str:
    return collapse_if_tuple(parameter)


def _lower(parameter: dict[str, Any], value: Any) -> Any:
    """Structs as dicts, namespaces or tuples become tuples for eth-abi."""
    if parameter["type"] != "tuple":
        return value
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if isinstance(value, dict):
        value = [value[component["name"]] for component in parameter["components"]]
    return tuple(_lower(component, v) for component, v in zip(parameter["components"], value, strict=True))


def _raise_value(parameter: dict[str, Any], value: Any) -> Any:
    if parameter["type"] == "tuple":
        parts = zip(parameter["components"], value, strict=True)
        return SimpleNamespace(**{component["name"]: _raise_value(component, v) for component, v in parts})
    if parameter["type"] == "address":
        return to_checksum_address(value)
    return list(value) if isinstance(value, tuple) else value


class Contract:
    """A deployed contract: ``contract.function(*args, sender=..., value=..., gas=...)``.

    Views return their value; other functions return a ``Result``. Both raise ``RevertedError``.
    """

    def __init__(self, chain: "Chain", address: str, abi: list[dict[str, Any]]) -> None:
        self.chain = chain
        self.address = address
        self.abi = abi
        self.functions = {entry["name"]: entry for entry in abi if entry["type"] == "function"}
        chain.learn(abi)

    def calldata(self, name: str, *args: Any) -> bytes:
        """Selector and encoded arguments."""
        inputs = self.functions[name]["inputs"]
        types = [_type_of(parameter) for parameter in inputs]
        values = [_lower(parameter, value) for parameter, value in zip(inputs, args, strict=True)]
        return keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)

    def decode(self, name: str, output: bytes) -> Any:
        """Return value of a function."""
        outputs = self.functions[name]["outputs"]
        if not outputs:
            return None
        values = decode([_type_of(parameter) for parameter in outputs], output)
        raised = [_raise_value(parameter, value) for parameter, value in zip(outputs, values, strict=True)]
        return raised[0] if len(raised) == 1 else tuple(raised)

    def __getattr__(self, name: str) -> Any:
        if name not in self.functions:
            raise AttributeError(name)
        view = self.functions[name]["stateMutability"] in ("view", "pure")

        def call(
            *args: Any, sender: str | None = None, value: int = 0, gas: int = GAS_LIMIT, static: bool = False
        ) -> Any:
            result = self.chain.send(
                self.address, self.calldata(name, *args), sender=sender, value=value, gas=gas, static=static
            )
            decoded = self.decode(name, result.value)
            return decoded if view else Result(decoded, result.events, result.gas_used)

        return call


class Chain:
    """One EVM with accounts, a clock and snapshots; the code size limit is EIP-170's unless one is given."""

    def __init__(self, code_size_limit: int | None = None) -> None:
        environment = Env(cfg=CfgEnv(chain_id=CHAIN_ID, limit_contract_code_size=code_size_limit))
        self.evm = EVM(env=environment, spec_id="PRAGUE", gas_limit=GAS_LIMIT)
        self._events: dict[bytes, dict[str, Any]] = {}
        self.logs: list[Event] = []
        self.number, self.time = 1, GENESIS_TIME
        self._set_block()

    def _set_block(self) -> None:
        self.evm.set_block_env(BlockEnv(number=self.number, timestamp=self.time, gas_limit=GAS_LIMIT))

    def learn(self, abi: list[dict[str, Any]]) -> None:
        """Decode these events from now on."""
        for entry in abi:
            if entry["type"] == "event":
                types = ",".join(_type_of(parameter) for parameter in entry["inputs"])
                self._events[keccak(text=f"{entry['name']}({types})")] = entry

    def account(self, name: str) -> str:
        """A rich account whose address follows from its name."""
        address = to_checksum_address(keccak(text=name)[12:])
        if self.evm.get_balance(address) == 0:
            self.evm.set_balance(address, RICH)
        return address

    def force_ether(self, address: str, amount: int) -> None:
        """Give ether to an account that cannot refuse it (a contract that destroys itself)."""
        code = bytes.fromhex("73" + address[2:] + "ff")
        self.evm.deploy(self.account("deployer"), code, value=amount, gas=GAS_LIMIT)

    def mine(self, seconds: int = 12) -> None:
        """Next block, some seconds later."""
        self.number, self.time = self.number + 1, self.time + seconds
        self._set_block()

    def travel_to(self, time: int) -> None:
        """Next block, at a given time."""
        self.mine(time - self.time)

    def balance(self, address: str) -> int:
        """Wei of an account."""
        return self.evm.get_balance(address)

    @contextmanager
    def isolate(self) -> Iterator[None]:
        """Undo everything that happens inside."""
        checkpoint, number, time = self.evm.snapshot(), self.number, self.time
        logs = len(self.logs)
        try:
            yield
        finally:
            self.evm.revert(checkpoint)
            self.number, self.time = number, time
            del self.logs[logs:]
            self._set_block()

    def deploy(self, artifact: Any, *args: Any, sender: str | None = None, value: int = 0) -> Contract:
        """Run a constructor. ``artifact`` has ``abi`` and ``bytecode``, as attributes or keys."""
        abi, bytecode = _artifact_parts(artifact)
        constructors = [entry for entry in abi if entry["type"] == "constructor"]
        types = [_type_of(parameter) for entry in constructors for parameter in entry["inputs"]]
        data = bytecode + encode(types, list(args))
        try:
            address = self.evm.deploy(sender or self.account("deployer"), data, value=value, gas=GAS_LIMIT)
        except RuntimeError as error:
            raise _reverted(error) from None
        return Contract(self, to_checksum_address(address), abi)

    def place(self, address: str, code: bytes) -> None:
        """Put code at an address without running a constructor. ``isolate`` does not undo it."""
        self.evm.insert_account_info(address, AccountInfo(nonce=1, code=code))

    def at(self, address: str, artifact: Any) -> Contract:
        """Handle for code that is there already."""
        return Contract(self, address, _artifact_parts(artifact)[0])

    def send(
        self,
        to: str,
        data: bytes = b"",
        *,
        sender: str | None = None,
        value: int = 0,
        gas: int = GAS_LIMIT,
        static: bool = False,
    ) -> Result:
        """One transaction; its gas includes the intrinsic part. Transient storage is cleared before."""
        self.evm.reset_transient_storage()
        caller = sender or self.account("stranger")
        try:
            output = self.evm.message_call(caller, to, data, value=value, gas=gas, is_static=static)
        except RuntimeError as error:
            raise _reverted(error) from None
        outcome = self.evm.result
        if outcome is None:
            raise AssertionError("a call has a result")
        events = [self._decode_log(log) for log in outcome.logs]
        self.logs += events
        return Result(output, events, outcome.gas_used)

    def _decode_log(self, log: Any) -> Event:
        topics, data = [bytes.fromhex(topic[2:]) for topic in log.topics], log.data[1]
        entry = self._events.get(topics[0]) if topics else None
        if entry is None:
            return Event(
                "unknown", to_checksum_address(log.address), SimpleNamespace(topics=topics, data=data)
            )
        indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
        plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
        raw = [decode([_type_of(p)], topic)[0] for p, topic in zip(indexed, topics[1:], strict=True)]
        raw += decode([_type_of(parameter) for parameter in plain], data)
        pairs = zip([*indexed, *plain], raw, strict=True)
        args = {parameter["name"]: _raise_value(parameter, value) for parameter, value in pairs}
        return Event(entry["name"], to_checksum_address(log.address), SimpleNamespace(**args))


def _artifact_parts(artifact: Any) -> tuple[list[dict[str, Any]], bytes]:
    if isinstance(artifact, dict):
        return artifact["abi"], bytes.fromhex(artifact["bytecode"][2:])
    return artifact.abi, artifact.bytecode


def _reverted(error: RuntimeError) -> RevertedError:
    match = _REVERT.search(str(error))
    if match is None:
        return RevertedError(b"", str(error))
    return RevertedError(bytes.fromhex(match.group(2)[2:]))


@contextmanager
def reverts(reason: str) -> Iterator[None]:
    """The block must revert with exactly this reason; an empty one means no revert data."""
    try:
        yield
    except RevertedError as error:
        if error.reason != reason or (not reason and error.data):
            raise AssertionError(f"reverted with {error}, not with {reason!r}") from error
    else:
        raise AssertionError(f"did not revert with {reason!r}")
